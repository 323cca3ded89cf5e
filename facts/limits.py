"""Defensive reading of what a machine says: every parser's only way to numbers, words and JSON.

A machine is untrusted input. Depth, length and range are bounded here, once; control characters, ANSI
sequences and direction overrides never get through. Knows nothing of any particular fact.
"""

import re
from collections.abc import Iterable
from json import JSONDecoder
from math import isfinite
from typing import Any, TypeVar

from facts.spec import FactError

MAX_DEPTH = 16
MAX_LIST = 64
MAX_STRING = 256
MAX_INT = 2**63

T = TypeVar("T")

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
# C0 but tab and newline, DEL, C1, zero-width, bidi controls, line separators, BOM, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OPENING = ord("[")
_NOT_MARK = bytes(set(range(256)) - set(b'[]{}"'))
_WHOLE_NUMBER = re.compile(r"[0-9]{1,19}")
_SPACE = " \t\r\n"
_PLAIN = b"\t\n" + bytes(range(0x20, 0x7F))  # printable ASCII
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19  # 2^63 has as many digits


def decode(data: bytes) -> str:
    """UTF-8 text without anything that could act on a terminal; tabs and newlines stay."""
    text = data.decode("utf-8", "replace")
    if not data.translate(None, _PLAIN):  # nearly always; far cheaper than a regular expression
        return text
    return _UNSAFE.sub("", _ANSI.sub("", text))


def word(value: object) -> str:
    """One short line of text, or "" for anything that is not text. Too long: cut and marked with "…"."""
    if not isinstance(value, str):
        return ""
    text = value.strip()
    if not text.isprintable():
        text = " ".join(_UNSAFE.sub("", _ANSI.sub("", text)).split())
    return text if len(text) <= MAX_STRING else text[: MAX_STRING - 1] + "…"


def number(value: object, *, what: str) -> int:
    """A whole number from 0 to 2^63 - 1, also if written as a string of digits (older lsblk)."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_INT:
        raise FactError(f"{what} is not a sensible number")
    return value


def maybe_number(value: object) -> int | None:
    """As `number`, but None for what is absent or out of range: for values that only inform."""
    try:
        return number(value, what="value")
    except FactError:
        return None


def flag(value: object) -> bool:
    """A JSON boolean; older tools write it as "0" and "1"."""
    return value in (1, "1")


def capped(items: Iterable[T], limit: int = MAX_LIST) -> tuple[tuple[T, ...], int]:
    """At most `limit` items, and how many were left out."""
    everything = tuple(items)
    return everything[:limit], max(0, len(everything) - limit)


def mapping(value: object, *, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FactError(f"{what} is not a JSON object")
    return value


def sequence(value: object, *, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise FactError(f"{what} is not a JSON list")
    return value


def load_json(text: str) -> Any:
    """One JSON document. Refuses depth over 16, duplicate keys, NaN, infinities and numbers over 2^63."""
    _check_depth(text)
    try:
        return _decoder(text).decode(text)
    except (ValueError, RecursionError) as error:
        raise FactError(f"not valid JSON: {word(str(error))}") from error


def load_json_stream(text: str, *, limit: int = MAX_LIST) -> list[Any]:
    """Several JSON documents one after the other, as far as they are complete; at most `limit` of them."""
    _check_depth(text)
    found: list[Any] = []
    decoder = _decoder(text)
    at = 0
    while len(found) < limit:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if at == len(text):
            break
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if found:
                break
            raise FactError(f"not valid JSON: {word(str(error))}") from error
        found.append(document)
    return found


def _check_depth(text: str) -> None:
    """One linear scan over the brackets outside strings, before the recursive decoder sees the text."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    if "\\" in text:
        text = _JSON_STRING.sub("", text)
    marks = text.encode("utf-8", "replace").translate(_BRACKETS, _NOT_MARK)
    # Without escapes every second piece between quotes is a string.
    inner = brackets = b"".join(marks.split(b'"')[::2])
    for _ in range(MAX_DEPTH):
        inner = inner.replace(b"[]", b"")  # takes away the innermost level
    if not inner:
        return
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == _OPENING else -1
        if depth > MAX_DEPTH:
            raise FactError(f"JSON nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key in a JSON object")
    return result


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("number out of range")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > MAX_INT:
        raise ValueError("number out of range")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _decoder(text: str) -> JSONDecoder:
    """The one that asks us about every whole number only where there is one that may be too long."""
    long = _LONG_NUMBER in text.encode("utf-8", "replace").translate(_DIGITS)
    return _CAREFUL if long else _QUICK


_QUICK = JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
_CAREFUL = JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
)
