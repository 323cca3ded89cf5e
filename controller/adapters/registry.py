"""Pushes images into a registry by the OCI distribution specification 1.1. Pulls nothing and deletes nothing.

Blobs go in one piece (POST, then PUT); one that the registry has is not sent again. A name and password
(HTTP Basic) are sent over HTTPS or to this computer only; token servers are not spoken to.
"""

import base64
import http.client
import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from controller.app.registry_port import File
from controller.core.release.oci import Reference
from inventory.errors import OperatorError, RefusedError, TransportError

_TIMEOUT = 60  # seconds without an answer
_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED, _MISSING = 200, 201, 202, 401, 404
_FIX = "check the registry's address and that it may be written to; run it again to go on"


class OciRegistries:
    """`login`: "NAME:PASSWORD", or empty."""

    def __init__(self, login: str = "") -> None:
        self._login = login

    def push(self, url: str, name: Reference, files: Sequence[File]) -> int:
        registry = _Registry(url, self._login)
        sent = 0
        for number, file in enumerate(files, 1):
            tag = name.tag if number == len(files) else ""
            if file.part.is_manifest:
                sent += registry.manifest(name.repository, file, tag)
            else:
                sent += registry.blob(name.repository, file)
        return sent


class _Registry:
    def __init__(self, url: str, login: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.path:
            raise OperatorError(
                "this is no registry's address", where=url, fix="write it as http://HOST:PORT or https://HOST"
            )
        if login and parts.scheme == "http" and not _here(parts.hostname):
            raise RefusedError("a password is not sent over plain HTTP", where=url, fix="use https://")
        self._host = (parts.scheme, parts.netloc)
        self._headers = {"User-Agent": "cto"}
        if login:
            self._headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"

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
        target = urlsplit(urljoin(f"{self.url}/", place))
        if (target.scheme, target.netloc) != self._host:
            raise RefusedError("it sends us to another server", where=self.url, fix="name that one instead")
        path = target.path + (f"?{target.query}" if target.query else "")
        try:
            with closing(self._connection()) as connection:
                if body is None:
                    answer = _answer(connection, method, path, {**self._headers, **(headers or {})})
                else:
                    with body.open("rb") as file:
                        length = {"Content-Length": str(body.stat().st_size)}
                        every = {**self._headers, **(headers or {}), **length}
                        answer = _answer(connection, method, path, every, file)
        except (OSError, http.client.HTTPException) as error:
            what = f"the registry can't be reached: {error}"
            raise TransportError(what, where=self.url, fix=_FIX) from error
        status, found, said = answer
        if status == _UNAUTHORIZED:
            raise TransportError(
                "it wants a name and a password", where=self.url, fix="set CTO_REGISTRY_LOGIN"
            )
        if status not in fine:
            raise TransportError(
                f"it answered {method} {path} with {status}: {said}", where=self.url, fix=_FIX
            )
        return status, found

    def _connection(self) -> http.client.HTTPConnection:
        scheme, host = self._host
        if scheme == "https":
            return http.client.HTTPSConnection(host, timeout=_TIMEOUT, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, timeout=_TIMEOUT)


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


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
