"""The five messages of enrolment and their one wire form: canonical JSON, at most 8 KiB, nothing unknown.

A message is accepted only if encoding it again gives the very bytes that came. Says nothing about its sender.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from roles.enrollment.proof import KEY_BYTES, MAC_BYTES, SIGNATURE_BYTES
from roles.enrollment.refused import EnrollmentRefusedError
from roles.enrollment.token import ID

VERSION = 1
MAX_BYTES, MAX_DEPTH, MAX_SSH_KEY, MAX_HARDWARE = 8192, 2, 1024, 16
NONCE_BYTES = SESSION_BYTES = 32
State = Literal["pending", "approved", "rejected"]
STATES: tuple[State, ...] = get_args(State)
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HARDWARE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_HARDWARE_VALUE = re.compile(r"[\x20-\x7e]{1,128}", re.ASCII)  # without quote and backslash, see `_parse`


@dataclass(frozen=True, slots=True)
class Challenge:
    controller_id: str
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Request:
    token_id: str
    node_id: str
    node_key: bytes
    ssh_key: bytes
    nonce: bytes
    hardware: Mapping[str, str]
    mac: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """The controller knows the token; an operator has not approved yet."""

    mac: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the operator decided so far; comes again until it is no longer "pending".

    `session` is the SHA-256 of the transcript that the words are of: this one, or that of an earlier
    connection of the same machine whose answer was lost. `name` is the node's, once it is approved.
    """

    state: State
    name: str
    session: bytes
    mac: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The same for every reason."""


Message = Challenge | Request | Pending | Verdict | Refused


def encode(message: Message) -> bytes:
    body: dict[str, Any]
    match message:
        case Challenge():
            body = {"type": "challenge", "controller": message.controller_id, "nonce": message.nonce.hex()}
        case Request():
            body = {
                "type": "request",
                "token": message.token_id,
                "node": message.node_id,
                "node_key": message.node_key.hex(),
                "ssh_key": message.ssh_key.hex(),
                "nonce": message.nonce.hex(),
                "hardware": dict(message.hardware),
                "mac": message.mac.hex(),
                "signature": message.signature.hex(),
            }
        case Pending():
            body = {"type": "pending", "mac": message.mac.hex()}
        case Verdict():
            body = {
                "type": "verdict",
                "state": message.state,
                "name": message.name,
                "session": message.session.hex(),
                "mac": message.mac.hex(),
            }
        case Refused():
            body = {"type": "refused"}
    return json.dumps({"v": VERSION, **body}, sort_keys=True, separators=(",", ":")).encode("ascii")


def decode(data: bytes) -> Message:
    """Raises EnrollmentRefusedError("malformed") for anything but a message in its one form."""
    body = _parse(data)
    version, kind = body.pop("v", None), body.pop("type", None)
    if type(version) is not int or version != VERSION:
        raise _malformed(f"this speaks version {VERSION} of the protocol only")
    message = _read(kind, body)
    if body:
        raise _malformed("a field that this version does not know")
    if encode(message) != data:
        raise _malformed("not in canonical form")
    return message


def _read(kind: Any, body: dict[str, Any]) -> Message:
    match kind:
        case "challenge":
            return Challenge(_text(body, "controller", _IDENTITY), _bytes(body, "nonce", NONCE_BYTES))
        case "request":
            return Request(
                token_id=_text(body, "token", ID),
                node_id=_text(body, "node", _IDENTITY),
                node_key=_bytes(body, "node_key", KEY_BYTES),
                ssh_key=_bytes(body, "ssh_key", None),
                nonce=_bytes(body, "nonce", NONCE_BYTES),
                hardware=_hardware(body.pop("hardware", None)),
                mac=_bytes(body, "mac", MAC_BYTES),
                signature=_bytes(body, "signature", SIGNATURE_BYTES),
            )
        case "pending":
            return Pending(_bytes(body, "mac", MAC_BYTES))
        case "verdict":
            return _verdict(body)
        case "refused":
            return Refused()
        case _:
            raise _malformed("a kind of message that this version does not know")


def _verdict(body: dict[str, Any]) -> Verdict:
    state, name = body.pop("state", None), body.pop("name", None)
    if state not in STATES:
        raise _malformed("field state is missing or not of its form")
    named = isinstance(name, str) and (
        _IDENTITY.fullmatch(name) is not None if state == "approved" else not name
    )
    if not named:
        raise _malformed("field name is missing or not of its form")
    return Verdict(state, name, _bytes(body, "session", SESSION_BYTES), _bytes(body, "mac", MAC_BYTES))


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise _malformed(f"larger than {MAX_BYTES} bytes")
    if b"\\" in data:  # no field needs an escape, and without them a quote is always the edge of a string
        raise _malformed("an escape, which no field needs")
    if _depth(data) > MAX_DEPTH:
        raise _malformed(f"nested more than {MAX_DEPTH} deep")
    try:
        body = json.loads(data.decode("ascii"), object_pairs_hook=_once)
    except ValueError:  # JSON, ASCII and numbers of too many digits alike
        raise _malformed("not JSON in ASCII") from None
    if not isinstance(body, dict):
        raise _malformed("not a JSON object")
    return body


def _depth(data: bytes) -> int:
    """Looked at before parsing, so that a parser never recurses as deep as a stranger likes."""
    deepest = now = 0
    for byte in b"".join(data.split(b'"')[::2]):
        if byte in b"[{":
            now += 1
            deepest = max(deepest, now)
        elif byte in b"]}":
            now -= 1
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("a field stands there twice")
    return found


def _text(body: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = body.pop(name, None)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _malformed(f"field {name} is missing or not of its form")
    return value


def _bytes(body: dict[str, Any], name: str, length: int | None) -> bytes:
    """Lower-case hex, because base64 has several texts for the same bytes."""
    value = body.pop(name, None)
    if not isinstance(value, str) or not re.fullmatch(r"(?:[0-9a-f]{2})+", value, re.ASCII):
        raise _malformed(f"field {name} is missing or not lower-case hex")
    found = bytes.fromhex(value)
    if len(found) != length if length is not None else len(found) > MAX_SSH_KEY:
        raise _malformed(f"field {name} has the wrong length")
    return found


def _hardware(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not len(value) <= MAX_HARDWARE:
        raise _malformed("field hardware is missing or too large")
    for name, text in value.items():
        if not _HARDWARE_NAME.fullmatch(name) or not isinstance(text, str):
            raise _malformed("a hardware id is not of its form")
        if not _HARDWARE_VALUE.fullmatch(text):
            raise _malformed("a hardware id is not of its form")
    return value


def _malformed(what: str) -> EnrollmentRefusedError:
    return EnrollmentRefusedError(
        "malformed", f"not an enrolment message: {what}", fix="use the same release on both sides"
    )
