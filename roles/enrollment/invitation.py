"""The invitation: where a controller listens and which key it shows, as a URL that fits a QR code.

`cto-enroll://HOST:PORT/PIN`, the pin being SHA-256 of the SPKI in base32 without padding. No secret.
Whoever types an address may leave the scheme and the pin out. Pure.
"""

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass

from inventory.errors import OperatorError

PORT = 7443
PIN_BYTES = 32
SERVICE = "_cto-controller._tcp.local."
_SCHEME = "cto-enroll://"
_PIN = re.compile(r"[A-Z2-7]{52}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_FIX = f"write ADDRESS, ADDRESS:PORT, [IPV6]:PORT, or the whole {_SCHEME} text that `cto enroll open` shows"


@dataclass(frozen=True, slots=True)
class Invitation:
    host: str
    port: int = PORT
    pin: bytes = b""  # empty: whoever typed the address did not give it

    @property
    def endpoint(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def to_text(self) -> str:
        pin = base64.b32encode(self.pin).decode("ascii").rstrip("=").lower()
        return f"{_SCHEME}{self.endpoint}/{pin}"

    @classmethod
    def parse(cls, text: str) -> "Invitation":
        """Raises OperatorError. Case does not matter: QR codes are smaller in upper case."""
        given = text.strip()
        if len(given) > 400:
            raise _wrong(given)
        bare = given[len(_SCHEME) :] if given.lower().startswith(_SCHEME) else given
        place, _, pin = bare.partition("/")
        host, port = _place(place, given)
        return cls(host, port, _pin(pin.upper(), given) if pin else b"")


def _place(text: str, given: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{1,5}))?|([^:\[\]]+)(?::([0-9]{1,5}))?", text)
    host, port = (found[1] or found[3], found[2] or found[4]) if found else (text, None)
    number = int(port) if port else PORT
    if "%" in host:
        raise _wrong(given)
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        # Four numbers that are no address would be looked up as a name, and somebody might answer.
        if not _NAME.fullmatch(host) or re.fullmatch(r"[0-9.]+", host):
            raise _wrong(given) from None
        host = host.lower()
    if not 0 < number < 65536:
        raise _wrong(given)
    return host, number


def _pin(text: str, given: str) -> bytes:
    if not _PIN.fullmatch(text):
        raise _wrong(given)
    try:
        pin = base64.b32decode(text + "====")
    except binascii.Error:
        raise _wrong(given) from None
    if base64.b32encode(pin).decode("ascii").rstrip("=") != text:
        raise _wrong(given)
    return pin


def _wrong(given: str) -> OperatorError:
    shown = "".join(char for char in given[:60] if char.isprintable())
    return OperatorError(f"{shown!r} is not where a controller listens", fix=_FIX)
