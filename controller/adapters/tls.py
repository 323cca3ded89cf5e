"""TLS contexts from certificates held in memory; key material never gets a lasting file.

`ssl` loads a certificate chain only from a path. On Linux that path is an anonymous memory file; elsewhere
a 0600 file in a private directory that is removed before the context is used. Decides no policy beyond
"verify the peer, TLS 1.2 or newer".
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory.errors import OperatorError

_TALOS_KEY, _STANDARD_KEY = "ED25519 PRIVATE KEY", "PRIVATE KEY"


def standard_key(pem: str) -> str:
    """Talos writes PKCS#8 under the header "ED25519 PRIVATE KEY", which OpenSSL does not know."""
    return pem.replace(f"-----BEGIN {_TALOS_KEY}-----", f"-----BEGIN {_STANDARD_KEY}-----").replace(
        f"-----END {_TALOS_KEY}-----", f"-----END {_STANDARD_KEY}-----"
    )


def talos_key(pem: str) -> str:
    """The other way round, for files that other Talos tools read. Only for Ed25519 keys."""
    return pem.replace(f"-----BEGIN {_STANDARD_KEY}-----", f"-----BEGIN {_TALOS_KEY}-----").replace(
        f"-----END {_STANDARD_KEY}-----", f"-----END {_TALOS_KEY}-----"
    )


def client_context(ca: str, crt: str, key: str, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """Verifies the server against `ca` only, by name, and shows it `crt`. Bad PEM is an OperatorError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    try:
        context.load_verify_locations(cadata=ca)
        with _as_path(f"{crt.rstrip()}\n{standard_key(key).rstrip()}\n".encode()) as path:
            context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise OperatorError(
            f"the client certificate can't be used ({error})", fix="make a new one from the cluster's secrets"
        ) from error
    return context


def server_context(crt: bytes, key: bytes) -> ssl.SSLContext:
    """For a listener that machines know by its key: TLS 1.3 only, no client certificates, no tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    with _as_path(crt.rstrip() + b"\n" + key.rstrip() + b"\n") as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _as_path(data: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("chain", os.MFD_CLOEXEC)
        try:
            os.write(handle, data)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    with tempfile.TemporaryDirectory(prefix="cto-") as folder:  # 0700
        path = Path(folder) / "chain.pem"
        path.touch(mode=0o600)
        path.write_bytes(data)
        yield str(path)
