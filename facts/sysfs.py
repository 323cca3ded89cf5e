"""Reads what `grep -H . FILE…` prints: one `path:line` per line of each file. Knows no particular file."""

from facts.limits import word


def lines(text: str) -> dict[str, list[str]]:
    """Path → its non-empty lines. Lines that do not start with an absolute path are passed over."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        path, colon, value = line.partition(":")
        if colon and path.startswith("/"):
            found.setdefault(path, []).append(value)
    return found


def first(found: dict[str, list[str]], path: str) -> str:
    """The first line of a file, cleaned; "" if it was not there."""
    values = found.get(path)
    return word(values[0]) if values else ""
