"""What a machine is given to enrol with: a token, the controller's pin, perhaps an address. A secret file."""

import json
import re
from dataclasses import dataclass, field

from inventory.errors import OperatorError
from roles.enrollment.invitation import Invitation
from roles.enrollment.token import Token

PATH = "etc/cto/enroll.json"
_FIELDS = frozenset({"token", "pin", "addresses", "mdns"})
_FIX = "build the image anew: cto iso build --enroll TOKEN"


@dataclass(frozen=True, slots=True)
class EnrollConfig:
    """`pin`: SHA-256 of the controller's SPKI, 64 hex digits; empty: it comes with a typed invitation."""

    token: str = field(repr=False)
    pin: str = ""
    addresses: tuple[str, ...] = ()
    mdns: bool = True

    def to_json(self) -> str:
        body = {
            "token": self.token,
            "pin": self.pin,
            "addresses": list(self.addresses),
            "mdns": self.mdns,
        }
        return json.dumps(body, sort_keys=True) + "\n"

    @classmethod
    def read(cls, text: str) -> "EnrollConfig":
        """Raises OperatorError, which never repeats the token."""
        try:
            body = json.loads(text)
        except ValueError:
            raise _wrong("it is not JSON") from None
        if not isinstance(body, dict) or not set(body) <= _FIELDS:
            raise _wrong(f"it may have {', '.join(sorted(_FIELDS))} and nothing else")
        made = cls(
            token=str(body.get("token", "")),
            pin=str(body.get("pin", "")),
            addresses=_addresses(body.get("addresses", [])),
            mdns=bool(body.get("mdns", True)),
        )
        Token.from_text(made.token)
        if made.pin and not re.fullmatch(r"[0-9a-f]{64}", made.pin, re.ASCII):
            raise _wrong("pin is not 64 hex digits")
        return made

    def invitations(self) -> tuple[Invitation, ...]:
        return tuple(Invitation.parse(text) for text in self.addresses)


def _addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 16:
        raise _wrong("addresses is not a short list")
    for text in value:
        Invitation.parse(str(text))
    return tuple(map(str, value))


def _wrong(what: str) -> OperatorError:
    return OperatorError(f"this file can't be enrolled with: {what}", where=f"/{PATH}", fix=_FIX)
