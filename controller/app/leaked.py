"""Is a password in a list of those that leaked? Looks only; downloads nothing, and keeps nothing of it.

The list is a text file of lines "SHA-1 in hex" or "SHA-1:times", in order of the hashes, as Have I Been Pwned
publishes it. It may be tens of gigabytes: it is searched where it lies, by halves.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from inventory.errors import OperatorError, StoreError

_HEX = 40
_LONGEST_LINE = 200


def checked_list(path: Path) -> Path:
    """A file that can be searched, or OperatorError. Looks at its first lines only."""
    try:
        with path.open("rb") as file:
            lines = [file.readline(_LONGEST_LINE) for _ in range(100)]
    except OSError as error:
        raise OperatorError(
            f"the list can't be read: {error.strerror}", where=str(path), fix="name a file of this computer"
        ) from None
    hashes = [_hash(line) for line in lines if line]
    if not hashes or not all(_is_hash(each) for each in hashes) or hashes != sorted(hashes):
        raise OperatorError(
            "this is no list of SHA-1 hashes in order",
            where=str(path),
            fix="take the Pwned Passwords list in its SHA-1 format, ordered by hash",
        )
    return path.resolve()


def must_not_be_in(path: str, password: str) -> None:
    """Raises OperatorError if it is there, and StoreError if nobody can say: then no password is taken."""
    # Not for security: it is how the lists that exist are written.
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    try:
        with Path(path).open("rb") as file:
            found = _find(file, wanted)
    except OSError as error:
        raise StoreError(
            f"the list of leaked passwords can't be read: {error.strerror}",
            where=path,
            fix="put it back, or name another: cto user policy --leaked-passwords FILE",
        ) from None
    if found:
        raise OperatorError(
            "this password was found in a leak, so that others try it", fix="think of one that is only yours"
        )


def _find(file: BinaryIO, wanted: bytes) -> bool:
    """By halves over bytes: `low` is always the beginning of a line."""
    low, high = 0, file.seek(0, 2)
    while low < high:
        middle = (low + high) // 2
        file.seek(middle)
        if middle > low:
            file.readline(_LONGEST_LINE)  # the rest of the line that was hit
        start = file.tell()
        if start >= high:  # one line is left between them, or a few: read on from `low`
            return _among(file, low, high, wanted)
        found = _hash(file.readline(_LONGEST_LINE))
        if found == wanted:
            return True
        if found < wanted:
            low = file.tell()
        else:
            high = start
    return False


def _among(file: BinaryIO, low: int, high: int, wanted: bytes) -> bool:
    file.seek(low)
    while file.tell() < high:
        if _hash(file.readline(_LONGEST_LINE)) == wanted:
            return True
    return False


def _hash(line: bytes) -> bytes:
    return line.strip().partition(b":")[0].upper()


def _is_hash(text: bytes) -> bool:
    return len(text) == _HEX and all(each in b"0123456789ABCDEF" for each in text)
