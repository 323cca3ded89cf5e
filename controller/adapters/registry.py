"""Pushes images into a registry by the OCI distribution specification 1.1. Pulls nothing and deletes nothing.

Blobs go in one piece (POST, then PUT); one that the registry has is not sent again. How it is told who we are
is in `registry_login`.
"""

import http.client
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from controller.adapters.registry_login import Login, connect, here
from controller.app.registry_port import File
from controller.core.release.oci import Reference
from inventory.errors import OperatorError, RefusedError, TransportError

_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED, _MISSING = 200, 201, 202, 401, 404
_FIX = "check the registry's address and that it may be written to; run it again to go on"


class OciRegistries:
    """`login`: "NAME:PASSWORD", or empty."""

    def __init__(self, login: str = "") -> None:
        self._login = login

    def push(self, url: str, name: Reference, files: Sequence[File]) -> int:
        registry = _Registry(url, name.repository, self._login)
        sent = 0
        for number, file in enumerate(files, 1):
            tag = name.tag if number == len(files) else ""
            if file.part.is_manifest:
                sent += registry.manifest(name.repository, file, tag)
            else:
                sent += registry.blob(name.repository, file)
        return sent


class _Registry:
    def __init__(self, url: str, repository: str, login: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.path:
            raise OperatorError(
                "this is no registry's address", where=url, fix="write it as http://HOST:PORT or https://HOST"
            )
        if login and parts.scheme == "http" and not here(parts.hostname):
            raise RefusedError("a password is not sent over plain HTTP", where=url, fix="use https://")
        self._host = (parts.scheme, parts.netloc)
        self._login = Login(self.url, repository, login)

    def blob(self, repository: str, file: File) -> int:
        digest = f"sha256:{file.part.sha256}"
        status, _ = self._ask("HEAD", f"/v2/{repository}/blobs/{digest}", (_OK, _MISSING))
        if status == _OK:
            return 0
        _, headers = self._ask("POST", f"/v2/{repository}/blobs/uploads/", (_ACCEPTED,))
        place = headers.get("location", "")
        place += ("&" if "?" in place else "?") + urlencode({"digest": digest})
        self._ask("PUT", place, (_CREATED,), {"Content-Type": "application/octet-stream"}, file.path)
        return file.part.size

    def manifest(self, repository: str, file: File, tag: str) -> int:
        digest = f"sha256:{file.part.sha256}"
        where = f"/v2/{repository}/manifests/"
        kind = {"Content-Type": file.part.media_type}
        self._ask("PUT", where + (tag or digest), (_CREATED,), kind, file.path)
        _, headers = self._ask("HEAD", where + (tag or digest), (_OK,), {"Accept": file.part.media_type})
        stored = headers.get("docker-content-digest", digest)
        if stored != digest:
            raise RefusedError(f"the registry keeps {stored} instead of {digest}", where=self.url, fix=_FIX)
        return file.part.size

    def _ask(
        self,
        method: str,
        place: str,
        fine: Sequence[int],
        headers: Mapping[str, str] | None = None,
        body: Path | None = None,
    ) -> tuple[int, Mapping[str, str]]:
        """Asked once more if it wants to know who we are; a token may end in the middle of a push, too."""
        status, found, said = self._once(method, place, headers or {}, body)
        if status == _UNAUTHORIZED:
            self._login.answer(found.get("www-authenticate", ""))
            status, found, said = self._once(method, place, headers or {}, body)
        if status == _UNAUTHORIZED:
            fix = "check CTO_REGISTRY_LOGIN, and that this account may push there"
            raise TransportError("it does not take this name and password", where=self.url, fix=fix)
        if status not in fine:
            path = urlsplit(place).path
            raise TransportError(
                f"it answered {method} {path} with {status}: {said}", where=self.url, fix=_FIX
            )
        return status, found

    def _once(
        self, method: str, place: str, headers: Mapping[str, str], body: Path | None
    ) -> tuple[int, Mapping[str, str], str]:
        target = urlsplit(urljoin(f"{self.url}/", place))
        if (target.scheme, target.netloc) != self._host:
            raise RefusedError("it sends us to another server", where=self.url, fix="name that one instead")
        path = target.path + (f"?{target.query}" if target.query else "")
        every = {"User-Agent": "cto", **headers}
        if self._login.header:
            every["Authorization"] = self._login.header
        try:
            with closing(connect(*self._host)) as connection:
                if body is None:
                    return _answer(connection, method, path, every)
                with body.open("rb") as file:
                    every["Content-Length"] = str(body.stat().st_size)
                    return _answer(connection, method, path, every, file)
        except (OSError, http.client.HTTPException) as error:
            what = f"the registry can't be reached: {error}"
            raise TransportError(what, where=self.url, fix=_FIX) from error


def _answer(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: BinaryIO | None = None,
) -> tuple[int, Mapping[str, str], str]:
    connection.request(method, path, body=body, headers=dict(headers))
    response = connection.getresponse()
    said = response.read(300).decode("utf-8", "replace")
    return response.status, {name.lower(): value for name, value in response.getheaders()}, said
