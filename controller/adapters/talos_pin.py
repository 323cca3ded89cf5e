"""A gRPC channel to a node in maintenance mode: its certificate is self-signed, so its key is pinned.

Every connection of the channel is checked, also the ones that grpclib makes again by itself. The client
shows no certificate: such a node takes none.
"""

import asyncio
import base64
import hashlib
import hmac
import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpclib.client import Channel

from controller.adapters.talos_calls import ConnectionLost, translated
from inventory.errors import HostKeyMismatch


def fingerprint(certificate: bytes) -> str:
    """Of a DER certificate's public key, in the form that Talos prints on the console."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


async def shown_fingerprint(host: str, port: int, deadline: float) -> str:
    """Of a self-signed certificate; empty for any other, which is no maintenance mode. Sends nothing."""
    try:
        with translated(f"{host}:{port}", "connect", deadline):
            async with asyncio.timeout(deadline):
                _, writer = await asyncio.open_connection(host, port, ssl=_unverified())
    except ConnectionLost as error:
        if isinstance(error.__cause__, ssl.SSLError):
            return ""
        raise
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    writer.transport.abort()
    if not shown:
        return ""
    certificate = x509.load_der_x509_certificate(shown)
    return fingerprint(shown) if certificate.issuer == certificate.subject else ""


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin takes their place
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


class PinnedChannel(Channel):
    """`pin` empty: any key is taken, for a segment that was declared as trusted."""

    def __init__(self, host: str, port: int, *, pin: str) -> None:
        super().__init__(host, port, ssl=_unverified())
        self._pin, self._node = pin, f"{host}:{port}"

    async def _create_connection(self) -> Any:
        protocol = await super()._create_connection()
        transport = protocol.connection._transport  # noqa: SLF001 - grpclib shows no certificate
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        if self._pin and not (shown and hmac.compare_digest(fingerprint(shown), self._pin)):
            transport.abort()
            raise HostKeyMismatch(
                f"its key is {fingerprint(shown) if shown else 'missing'}, pinned is {self._pin}",
                where=self._node,
                fix="compare with the fingerprint on its console; it is new after each boot",
            )
        return protocol
