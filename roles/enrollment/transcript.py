"""The transcript T: everything that both sides must agree on, in one unambiguous string of bytes.

Every field is its length (four bytes, big-endian) and its bytes, in a fixed order, so that no two different
sets of values give the same T. Proves nothing by itself; see `proof`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from inventory.words import encode

PURPOSE = b"cto-enroll-v1"
LABEL = "ENROLL"


@dataclass(frozen=True, slots=True)
class Transcript:
    token_id: str
    controller_id: str
    node_id: str
    controller_nonce: bytes
    node_nonce: bytes
    spki_sha256: bytes  # of the TLS key that the controller really showed on this connection
    node_key: bytes
    ssh_key: bytes  # the wire form of the node's SSH host key
    hardware: Mapping[str, str]

    def to_bytes(self) -> bytes:
        fields = [
            PURPOSE,
            self.token_id.encode(),
            self.controller_id.encode(),
            self.node_id.encode(),
            self.controller_nonce,
            self.node_nonce,
            self.spki_sha256,
            self.node_key,
            self.ssh_key,
            len(self.hardware).to_bytes(4, "big"),
        ]
        for name in sorted(self.hardware):
            fields += [name.encode(), self.hardware[name].encode()]
        return framed(*fields)

    def session(self) -> bytes:
        """SHA-256 of T: what a later connection of the same machine can name it by."""
        return hashlib.sha256(self.to_bytes()).digest()

    def words(self) -> str:
        """`ENROLL` and six words: the same on the console and at the controller, or somebody lies."""
        return f"{LABEL} {' '.join(encode(self.session()))}"


def framed(*fields: bytes) -> bytes:
    """Each field as its length (four bytes, big-endian) and its bytes."""
    return b"".join(len(each).to_bytes(4, "big") + each for each in fields)
