"""One file over HTTPS: resumed after a broken connection, capped in size. Checks no hash of what it fetched.

What an earlier run left is continued if a hash will judge the whole, or if the server can say whether it is
still the same file (ETag, RFC 9110 section 13.1.5); else it is fetched from the start.

Plain HTTP is allowed only for a file whose hash is demanded: then the hash is what protects it.
"""

import http.client
import re
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
    url: str,
    target: Path,
    sha256: str,
    report: Callable[[int, int], None],
    *,
    limit: int = MAX_BYTES,
    fix: str = _FIX,
) -> None:
    """Bring `url` to `target` (by way of `target`.part, which a later call continues)."""
    if url.startswith("http://") and not sha256:
        safe = "use https://, or give its sha256"
        raise OperatorError("a file by plain HTTP needs its SHA-256", where=url, fix=safe)
    part = target.with_name(target.name + ".part")
    if not sha256 and not _tag_of(part).exists():
        part.unlink(missing_ok=True)  # two halves of different files could not be told apart
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _continue(url, part, report, limit, plain=bool(sha256))
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _ATTEMPTS:
                raise TransportError(
                    f"the server answered {error.code} {error.reason}", where=url, fix=fix
                ) from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == _ATTEMPTS:
                raise TransportError(f"the download broke off: {error}", where=url, fix=fix) from error
        else:
            _tag_of(part).unlink(missing_ok=True)
            part.replace(target)
            return


def _continue(url: str, part: Path, report: Callable[[int, int], None], limit: int, *, plain: bool) -> None:
    """`plain`: the way may lead over plain HTTP."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310 - the caller lets only http(s) through
    if have:
        request.add_header("Range", f"bytes={have}-")
        if _tag_of(part).exists():  # the rest of this very file, or all of the other one
            request.add_header("If-Range", _tag_of(part).read_text())
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # there is nothing after what we have; the hash decides
        raise
    with response:
        if not plain and response.geturl().startswith("http://"):
            raise OperatorError(
                "the server sends on to plain HTTP, and nothing says what the file must be",
                where=url,
                fix="give its sha256, or name an address that stays with https://",
            )
        resumed = response.status == http.client.PARTIAL_CONTENT
        _keep_tag(part, response.headers.get("ETag") or "")
        done = have if resumed else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as file:
            while piece := response.read1(1024 * 1024):  # what is there: a trickle shows
                done += len(piece)
                if done > limit:
                    raise OperatorError(f"is larger than {limit} bytes", where=url, fix="check image.url")
                file.write(piece)
                report(done, max(total, done))
        if done < total:
            raise http.client.IncompleteRead(b"", total - done)


def _tag_of(part: Path) -> Path:
    """Where the server's name for this version of the file is kept while it is incomplete."""
    return part.with_name(part.name + ".etag")


def _keep_tag(part: Path, tag: str) -> None:
    """A weak tag (W/…) promises no equal bytes, so it can't be asked for."""
    if re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', tag):
        _tag_of(part).write_text(tag)
    else:
        _tag_of(part).unlink(missing_ok=True)
