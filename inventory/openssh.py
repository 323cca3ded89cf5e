"""OpenSSH public keys as text: parse, check the structure, normalize, fingerprint (RFC 4253, 5656, 8709).

Does no cryptography beyond hashing: whether a key is *trusted* is decided where connections are made.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from inventory.errors import OperatorError

_CURVE_POINT_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
KEY_TYPES: tuple[str, ...] = (
    "ssh-ed25519",
    *(f"ecdsa-sha2-{curve}" for curve in _CURVE_POINT_BYTES),
    "ssh-rsa",
)
_FIX = "paste the whole line of the machine's ssh_host_ed25519_key.pub, such as `ssh-ed25519 AAAAC3Nza…`"
_MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class PublicKey:
    type: str
    blob: bytes  # the wire form that fingerprints and words are made from
    comment: str = ""

    @property
    def line(self) -> str:
        """The normal form: type and base64, without the comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode('ascii')}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: SHA256 and unpadded base64."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def parse_public_key(line: str) -> PublicKey:
    """One line of a `.pub` file. Raises OperatorError that says what is wrong with it."""
    text = line.strip()
    if "PRIVATE KEY" in text:
        raise OperatorError("this is a private key", fix="never copy a private key; " + _FIX)
    parts = text.split(None, 2)
    if "\n" in text or len(parts) < 2:
        raise OperatorError("not an OpenSSH public key line", fix=_FIX)
    kind, encoded = parts[0], parts[1]
    if kind not in KEY_TYPES:
        if encoded in KEY_TYPES:
            raise OperatorError(
                "this looks like a known_hosts line", fix="leave out the host name before the key type"
            )
        raise OperatorError(f"unknown key type {kind[:40]!r}", fix="use one of " + ", ".join(KEY_TYPES))
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise OperatorError("the key's base64 is damaged", fix=_FIX) from None
    _check_blob(kind, blob)
    return PublicKey(kind, blob, parts[2].strip() if len(parts) > 2 else "")


def normalize(line: str) -> str:
    """`type base64`, without comment and stray spaces."""
    return parse_public_key(line).line


def line_of_blob(blob: bytes) -> str:
    """The line of a key in its wire form. Raises OperatorError for what is no good key."""
    fields = _strings(blob)
    kind = fields[0].decode("ascii", "replace") if fields else ""
    return parse_public_key(f"{kind or 'nothing'} {base64.b64encode(blob).decode('ascii')}").line


def fingerprint(line: str) -> str:
    """SHA256:… of a public key line."""
    return parse_public_key(line).fingerprint


def _check_blob(kind: str, blob: bytes) -> None:
    fields = _strings(blob)
    if not fields or fields[0] != kind.encode("ascii"):
        raise OperatorError(f"the key's content is not of type {kind}", fix=_FIX)
    if kind == "ssh-ed25519":
        sound = len(fields) == 2 and len(fields[1]) == 32
    elif kind == "ssh-rsa":
        sound = len(fields) == 3
        if sound and int.from_bytes(fields[2], "big").bit_length() < _MIN_RSA_BITS:
            raise OperatorError(
                f"the RSA key has fewer than {_MIN_RSA_BITS} bits", fix="use an ssh-ed25519 key"
            )
    else:
        curve = kind.rpartition("-")[2]
        sound = len(fields) == 3 and fields[1] == curve.encode("ascii") and fields[2][:1] == b"\x04"
        sound = sound and len(fields[2]) == _CURVE_POINT_BYTES[curve]
    if not sound:
        raise OperatorError("the key is incomplete or damaged", fix=_FIX)


def _strings(blob: bytes) -> list[bytes]:
    """The length-prefixed strings of an SSH blob; an incomplete one gives an empty list."""
    fields: list[bytes] = []
    position = 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4], "big")
        end = position + 4 + length
        if position + 4 > len(blob) or end > len(blob):
            return []
        fields.append(blob[position + 4 : end])
        position = end
    return fields
