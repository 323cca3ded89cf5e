"""One file over HTTPS: resumed after a broken connection, capped in size. Checks no hash of what it fetched.

Plain HTTP is allowed only for a file whose hash is demanded: then the hash is what protects it.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from inventory.errors import OperatorError, TransportError

MAX_BYTES = 8 * 1024**3
_TIMEOUT = 30  # seconds without a byte
_ATTEMPTS = 3
_FIX = "check the network and the proxy, or fetch the file elsewhere and name it as image.url; then run again"


def fetch(
    url: str, target: Path, sha256: str, report: Callable[[int, int], None], *, limit: int = MAX_BYTES
) -> None:
    """Bring `url` to `target` (by way of `target`.part, which a later call continues)."""
    if url.startswith("http://") and not sha256:
        fix = "use https://, or give image.sha256"
        raise OperatorError("an image by plain HTTP needs its SHA-256", where=url, fix=fix)
    part = target.with_name(target.name + ".part")
    if not sha256:
        part.unlink(missing_ok=True)  # two halves of different files could not be told apart
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _continue(url, part, report, limit)
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _ATTEMPTS:
                raise TransportError(
                    f"the server answered {error.code} {error.reason}", where=url, fix=_FIX
                ) from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == _ATTEMPTS:
                raise TransportError(f"the download broke off: {error}", where=url, fix=_FIX) from error
        else:
            part.replace(target)
            return


def _continue(url: str, part: Path, report: Callable[[int, int], None], limit: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310 - the caller lets only http(s) through
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # there is nothing after what we have; the hash decides
        raise
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        done = have if resumed else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as file:
            while piece := response.read(1024 * 1024):
                done += len(piece)
                if done > limit:
                    raise OperatorError(f"is larger than {limit} bytes", where=url, fix="check image.url")
                file.write(piece)
                report(done, max(total, done))
        if done < total:
            raise http.client.IncompleteRead(b"", total - done)
