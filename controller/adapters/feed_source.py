"""Where a release feed is fetched from: a web server, or a folder. Verifies nothing; that is TUF's part."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface

from controller.adapters.images import local_path
from controller.app.plain_files import CHUNK, open_plain, pieces
from inventory.errors import TransportError

_TIMEOUT = 30  # seconds without a byte
_NOT_FOUND = 404
_SLOW = "try later, or another mirror; what came already is kept"


@dataclass(frozen=True, slots=True)
class Patience:
    """At least so many bytes in so many seconds: a server that trickles could hold an update back."""

    seconds: float = 60
    least: int = 64 * 1024
    monotonic: Callable[[], float] = time.monotonic

    def watch(self, url: str) -> "Pace":
        return Pace(self, url, self.monotonic())


@dataclass(slots=True)
class Pace:
    patience: Patience
    url: str
    since: float
    before: int = field(default=-1)

    def note(self, done: int) -> None:
        """`done`: bytes so far. Raises TransportError when it is too slow."""
        now = self.patience.monotonic()
        if self.before < 0:
            self.before = done  # what an earlier run brought counts for nothing
        if now - self.since < self.patience.seconds:
            return
        if done - self.before < self.patience.least:
            what = f"the server sends less than {self.patience.least} bytes in {self.patience.seconds:g} s"
            raise TransportError(what, where=self.url, fix=_SLOW)
        self.since, self.before = now, done


class Source(FetcherInterface):
    """One feed. `base`: its URL, without a slash at the end."""

    def __init__(self, url: str, patience: Patience) -> None:
        self.url, self._patience = url, patience
        self.folder = local_path(url)
        self.base = self.folder.as_uri() if self.folder else url.rstrip("/")

    def _fetch(self, url: str) -> Iterator[bytes]:
        if self.folder is None:
            return self._from_web(url)
        return self._from_folder(self.folder, unquote(url.removeprefix(f"{self.base}/")))

    def _from_folder(self, folder: Path, name: str) -> Iterator[bytes]:
        try:
            file = open_plain(folder, name)
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{name} is not there", _NOT_FOUND) from error
        return _closing(file)

    def _from_web(self, url: str) -> Iterator[bytes]:
        request = urllib.request.Request(url, headers={"User-Agent": "cto"})  # noqa: S310 - http(s) by local_path
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310 - as above
        except urllib.error.HTTPError as error:
            raise DownloadHTTPError(f"{url}: {error.code} {error.reason}", error.code) from error
        return self._body(url, response)

    def _body(self, url: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
        pace, done = self._patience.watch(url), 0
        with response:
            promised = response.headers.get("Content-Length", "")
            while piece := response.read1(CHUNK):
                pace.note(done)
                done += len(piece)
                yield piece
            if promised.isdecimal() and done < int(promised):
                raise TransportError("the answer broke off", where=url, fix=_SLOW)


def _closing(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from pieces(file)
