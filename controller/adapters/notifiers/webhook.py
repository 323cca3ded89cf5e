"""Tells a program by one HTTPS POST, signed so that the receiver knows who wrote it and when.

Goes to the host that the operator named and nowhere else: it is resolved once, never to an address of this
machine's own, redirects are not followed, and little of the answer is read.
"""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from controller.core.addresses import forbidden
from controller.core.topics import Message
from inventory.errors import OperatorError, RefusedError, TransportError

_TIMEOUT = 5  # seconds for the whole connection's every wait
_ANSWER = 64 * 1024  # bytes of the answer that are read
_LEAST_SECRET = 16


@dataclass(frozen=True, slots=True)
class Webhook:
    """`forbidden`, `now`, `tls_context`: a test's server lives where a real one must not."""

    forbidden: Callable[[str], str] = forbidden
    now: Callable[[], float] = time.time
    tls_context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    kind: str = "webhook"
    secret: str = "the key that both sides know"  # noqa: S105 - words, not a secret
    needs_secret: bool = True
    fields: Mapping[str, str] = field(default_factory=lambda: {"url": "https://host[:port]/path"})

    def check(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        url = settings.get("url", "")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise OperatorError("url: not an address", fix="give --set url=https://host/path") from error
        if parts.scheme != "https" or not parts.hostname or not url.isascii() or not url.isprintable():
            raise OperatorError(f"url can't be {url[:60]!r}", fix="give --set url=https://host/path")
        if parts.username or parts.password or parts.fragment or parts.query or port == 0:
            raise OperatorError(
                "url: no account, no query, no fragment", fix="what must stay secret is the key, not the URL"
            )
        return dict(settings)

    def send(self, settings: Mapping[str, str], secret: str, message: Message) -> None:
        parts = urlsplit(settings["url"])
        host, port = str(parts.hostname), parts.port or 443
        body = _body(message)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "cto",
            "Cto-Delivery": message.id,
            "Cto-Signature": signature(secret.encode(), body, int(self.now())),
        }
        try:
            connection = self._connected(host, port)
            try:
                connection.request("POST", parts.path or "/", body, headers)
                answer = connection.getresponse()
                answer.read(_ANSWER)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            what = f"the receiver can't be reached: {type(error).__name__}"
            raise TransportError(what, where=f"{host}:{port}", fix="check the address") from error
        _judge(answer.status, f"{host}:{port}")

    def _connected(self, host: str, port: int) -> http.client.HTTPSConnection:
        """To an address that was looked at, so that a second answer of the name server can't change it."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        for address in addresses:
            why = self.forbidden(address)
            if why:
                raise RefusedError(
                    f"{host} is {address}, {why}: nothing is sent there", where="url", fix="name another host"
                )
        context = self.tls_context()
        raw = socket.create_connection((addresses[0], port), timeout=_TIMEOUT)
        try:
            wrapped = context.wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
        connection.sock = wrapped
        return connection


def signature(key: bytes, body: bytes, at: int) -> str:
    """HMAC-SHA-256 (RFC 2104) over the second it was made, a dot, and the body."""
    made = hmac.new(key, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


def _body(message: Message) -> bytes:
    fixed = {
        "id": message.id,
        "at": message.at,
        "topic": message.topic,
        "kind": message.kind,
        "subject": message.subject,
        "text": message.text,
    }
    return json.dumps(fixed, ensure_ascii=False).encode()


def _judge(status: int, where: str) -> None:
    if 200 <= status < 300:
        return
    told = f"the receiver answered {status}"
    if status >= 500 or status in (408, 425, 429):
        raise TransportError(told, where=where, fix="it is tried again")
    raise RefusedError(told, where=where, fix="check the URL, and the key on the other side")


NOTIFIER = Webhook()
