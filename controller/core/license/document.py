"""A licence as a file: signed as exact bytes, verified before anything in it is read. Decides nothing.

    -----BEGIN CTO LICENSE-----
    cto-license/v1 0123456789abcdef
    <signature, base64>
    <payload, base64, 64 characters a line>
    -----END CTO LICENSE-----

Signed is the first line, a line feed, and the payload's bytes as they are: nothing is ever serialised again
to be checked (two JSON writers rarely agree on bytes). The key's id is the head of its SHA-256, so a file
can't name one key and be signed by another. There is one way only to write a given licence: a file that
differs from it by one byte is refused, also where the difference would mean nothing.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from inventory.errors import OperatorError

BEGIN, END = "-----BEGIN CTO LICENSE-----", "-----END CTO LICENSE-----"
MAX_TEXT = 16 * 1024  # characters of a whole file
_KIND = "cto-license/v1"
_LINE = 64
_HEAD = re.compile(rf"{re.escape(_KIND)} ([0-9a-f]{{16}})", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_FIELDS = frozenset({"id", "holder", "not_before", "expires", "nodes", "clusters", "controller"})
_MOST = 1_000_000  # nodes or clusters


@dataclass(frozen=True, slots=True)
class License:
    """What a verified file says. `nodes`, `clusters`: at most so many, None for any number. `controller`:
    the one installation it is for, or empty.
    """

    id: str
    holder: str
    not_before: datetime
    expires: datetime
    nodes: int | None
    clusters: int | None
    controller: str = ""

    def payload(self) -> bytes:
        """As the publisher signs it. Nobody else needs this: a reader takes the bytes that came."""
        body = {
            "id": self.id,
            "holder": self.holder,
            "not_before": _written(self.not_before),
            "expires": _written(self.expires),
            "nodes": self.nodes,
            "clusters": self.clusters,
            "controller": self.controller,
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def key_id(public: bytes) -> str:
    """By which a licence names the publisher's Ed25519 key (32 bytes)."""
    return hashlib.sha256(public).hexdigest()[:16]


def keys_of(seed: bytes) -> dict[str, bytes]:
    """The public half of a publisher's key, under its id."""
    from nacl.signing import SigningKey

    public = bytes(SigningKey(seed).verify_key)
    return {key_id(public): public}


def issue(payload: bytes, seed: bytes) -> str:
    """Signs the payload with the publisher's key (its 32-byte seed); returns the file's text."""
    from nacl.signing import SigningKey

    key = SigningKey(seed)
    head = f"{_KIND} {key_id(bytes(key.verify_key))}"
    return _armoured(head, key.sign(_signed(head, payload)).signature, payload)


def read(text: str, keys: Mapping[str, bytes]) -> License:
    """The licence in `text`, signed by one of `keys` (key id → public key).

    Raises OperatorError, saying what is wrong: not a licence, damaged, or signed by a key not trusted here.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    head, kid, signature, payload = _taken_apart(text)
    if kid not in keys:
        raise OperatorError(
            f"this licence is signed by the key {kid}, which is not trusted here",
            fix="if it is your publisher's: cto license trust KEY-FILE",
        )
    try:
        VerifyKey(keys[kid]).verify(_signed(head, payload), signature)
    except (BadSignatureError, ValueError) as error:
        raise OperatorError(
            "the signature of this licence does not fit what it says: it was changed or damaged",
            fix="get the file again from your publisher, as a file and not as pasted text",
        ) from error
    return _parsed(payload)


def _signed(head: str, payload: bytes) -> bytes:
    return head.encode() + b"\n" + payload


def _armoured(head: str, signature: bytes, payload: bytes) -> str:
    body = base64.b64encode(payload).decode()
    lines = [body[at : at + _LINE] for at in range(0, len(body), _LINE)]
    return "\n".join([BEGIN, head, base64.b64encode(signature).decode(), *lines, END]) + "\n"


def _taken_apart(text: str) -> tuple[str, str, bytes, bytes]:
    if len(text) > MAX_TEXT:
        raise _not_one(f"longer than {MAX_TEXT} characters")
    text = text.replace("\r\n", "\n")  # a file that travelled by mail
    lines = text.split("\n")
    if lines[0] != BEGIN or lines[-2:] != [END, ""]:
        raise _not_one(f"it does not begin with {BEGIN} and end with {END}")
    head = lines[1] if len(lines) > 1 else ""
    found = _HEAD.fullmatch(head)
    if found is None:
        raise _not_one(f"its second line is not {_KIND!r} and the id of a key")
    try:
        signature = base64.b64decode(lines[2], validate=True)
        payload = base64.b64decode("".join(lines[3:-2]), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: characters outside ASCII
        raise _not_one("its lines are not base64") from error
    if _armoured(head, signature, payload) != text:
        raise _not_one("it is written in another way than licences are")
    return head, found[1], signature, payload


def _not_one(why: str) -> OperatorError:
    return OperatorError(
        f"this is not a licence, or it is damaged: {why}", fix="get the file again from your publisher"
    )


def _parsed(payload: bytes) -> License:
    """Of bytes whose signature was right: what is wrong now is the publisher's mistake, or a newer format."""
    try:
        body = json.loads(payload, object_pairs_hook=_once)
        if not isinstance(body, dict) or set(body) != _FIELDS:
            raise ValueError("its fields are others than this version knows")  # noqa: TRY301
        made = License(
            id=_text(body, "id"),
            holder=_text(body, "holder"),
            not_before=_instant(body, "not_before"),
            expires=_instant(body, "expires"),
            nodes=_limit(body, "nodes"),
            clusters=_limit(body, "clusters"),
            controller=_text(body, "controller"),
        )
        if not made.not_before < made.expires:
            raise ValueError("it ends before it begins")  # noqa: TRY301
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are kinds of it
        raise OperatorError(
            f"this licence is signed rightly, but can't be used: {error}",
            fix="ask your publisher; perhaps it needs a newer version of cto",
        ) from error
    return made


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Python would silently take the last of two equal keys, other readers the first."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field is there twice")
    return made


def _text(body: Mapping[str, object], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or len(value) > 200 or not (value == "" or value.isprintable()):
        raise ValueError(f"{name} is not a line of text")
    return value


def _limit(body: Mapping[str, object], name: str) -> int | None:
    value = body[name]
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(f"{name} is neither a number up to {_MOST} nor null")
    return value


def _instant(body: Mapping[str, object], name: str) -> datetime:
    value = body[name]
    if not isinstance(value, str) or _STAMP.fullmatch(value) is None:
        raise ValueError(f"{name} is not a time such as 2027-01-31T00:00:00Z")
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
