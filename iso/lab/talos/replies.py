"""The shapes of answers that most calls of the Talos API share."""

from collections.abc import Iterator
from typing import Any

from facts.talos.messages import message

_CHUNK = 32 << 10


def reply(name: str, entry: Any) -> Any:
    """One node's answer: a list with one entry."""
    return message(name)(messages=[entry])


def chunks(data: bytes) -> Iterator[Any]:
    """A stream of bytes, in parts."""
    for at in range(0, len(data), _CHUNK):
        yield message("common.Data")(bytes=data[at : at + _CHUNK])
