"""Turns the words of a command into its arguments: parameters, command substitution, splitting, globs.

Runs nothing itself: a substitution's script goes back to the shell that asked.
"""

import fnmatch
import posixpath
import re
from typing import Protocol

from iso.lab.shell.files import FileTree
from iso.lab.shell.tree import Script, Substitution, Text, Variable, Word

_BLANKS = re.compile(r"[ \t\n]+")
_Field = list[tuple[str, bool]]  # pieces of one argument, each quoted or not


class Parameters(Protocol):
    """What expansion needs from a shell."""

    files: FileTree
    cwd: str
    arguments: tuple[str, ...]

    def parameter(self, name: str) -> str | None: ...
    async def substitute(self, script: Script) -> str:
        """The standard output of `script`, without its last newlines."""
        ...


async def arguments(shell: Parameters, words: tuple[Word, ...]) -> list[str]:
    """All words as the command will see them."""
    found: list[str] = []
    for word in words:
        for field in await _fields(shell, word):
            found.extend(_globbed(shell, field))
    return found


async def string(shell: Parameters, word: Word) -> str:
    """One word as one string: no splitting, no globs (assignments, redirections, `case`)."""
    return "".join([await _value(shell, part) for part in word])


async def pattern(shell: Parameters, word: Word) -> str:
    """One word as an fnmatch pattern in which quoted characters stand for themselves."""
    pieces = [(await _value(shell, part), part.quoted) for part in word]
    return "".join(_escaped(text) if quoted else text for text, quoted in pieces)


async def _fields(shell: Parameters, word: Word) -> list[_Field]:
    fields: list[_Field] = []
    current: _Field | None = None
    for part in word:
        if isinstance(part, Variable) and part.name == "@" and not part.operator:
            # Each positional parameter is an argument of its own; the first joins what stands before it.
            for index, value in enumerate(shell.arguments):
                if index and current is not None:
                    fields.append(current)
                    current = None
                current = [*(current or []), (value, part.quoted)]
            continue
        value = await _value(shell, part)
        if isinstance(part, Text) or part.quoted:
            current = [*(current or []), (value, part.quoted)]
            continue
        pieces = _BLANKS.split(value)
        for index, piece in enumerate(pieces):
            if index and current is not None:
                fields.append(current)
                current = None
            if piece:
                current = [*(current or []), (piece, False)]
    if current is not None:
        fields.append(current)
    return fields


async def _value(shell: Parameters, part: Text | Variable | Substitution) -> str:  # noqa: PLR0911 - one for each form
    if isinstance(part, Text):
        return part.value
    if isinstance(part, Substitution):
        return await shell.substitute(part.body)
    value = shell.parameter(part.name)
    if part.operator == "length":
        return str(len(value or ""))
    if part.operator[-1:] in ("-", "+"):
        unset = value is None or (part.operator[0] == ":" and value == "")
        if unset is (part.operator[-1] == "-"):
            return await string(shell, part.operand)
        return value or ""  # `+` of something unset, or `-` of something set
    if part.operator:
        return _trimmed(value or "", part.operator, await pattern(shell, part.operand))
    return value or ""


def _trimmed(value: str, operator: str, glob: str) -> str:
    """`${VAR#glob}` and its three relatives."""
    lengths = range(len(value) + 1)
    order = lengths if operator in ("#", "%") else reversed(lengths)
    for length in order:
        if operator[0] == "#" and fnmatch.fnmatchcase(value[:length], glob):
            return value[length:]
        if operator[0] == "%" and fnmatch.fnmatchcase(value[len(value) - length :], glob):
            return value[: len(value) - length]
    return value


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _globbed(shell: Parameters, field: _Field) -> list[str]:
    literal = "".join(text for text, _ in field)
    if not any(not quoted and any(char in text for char in "*?[") for text, quoted in field):
        return [literal]
    glob = "".join(_escaped(text) if quoted else text for text, quoted in field)
    absolute = glob.startswith("/")
    matches = shell.files.glob(glob if absolute else posixpath.join(shell.cwd, glob))
    if not absolute:
        prefix = shell.cwd.rstrip("/") + "/"
        matches = [path.removeprefix(prefix) for path in matches]
    return matches or [literal]
