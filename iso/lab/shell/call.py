"""What a tool of the lab's machines gets when it is run, and the small helpers all tools share."""

import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from iso.lab.shell.files import FileTree
from iso.lab.shell.streams import Reader, Writer, chunks

if TYPE_CHECKING:
    from iso.lab.host import Host


class Runner(Protocol):
    """The shell, as far as tools that run other commands need it (sh, timeout, env)."""

    arguments: tuple[str, ...]

    async def run_script(
        self,
        text: str,
        arguments: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        *,
        name: str = "sh",
    ) -> int: ...
    async def run_argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int: ...
    def with_fds(self, fds: Mapping[int, Reader | Writer]) -> "Runner": ...


@dataclass(slots=True)
class Call:
    """One running command."""

    name: str
    args: list[str]
    stdin: Reader
    out: Writer
    err: Writer
    env: Mapping[str, str]
    cwd: str
    shell: Runner
    host: "Host"

    @property
    def files(self) -> FileTree:
        return self.host.files

    def path(self, name: str) -> str:
        """`name` as an absolute path."""
        return posixpath.normpath(posixpath.join(self.cwd, name))

    async def print(self, *lines: str) -> int:
        """Lines to standard output. Always 0, so that a tool can end with it."""
        if lines:
            await self.out.write(encode("\n".join(lines) + "\n"))
        return 0

    async def fail(self, message: str, status: int = 1) -> int:
        """A message on standard error, under the tool's name; the exit status."""
        await self.err.write(encode(f"{self.name}: {message}\n"))
        return status

    async def inputs(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """The bytes of the files (or of standard input, for none or "-"), one after the other."""
        for name in names or ["-"]:
            reader = self.stdin if name == "-" else self.files.reader(self.path(name))
            async for chunk in chunks(reader):
                yield chunk


Tool = Callable[[Call], Awaitable[int]]
Gate = Callable[[str], AbstractAsyncContextManager[None]]


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class UsageError(Exception):
    """An option the tool does not know: the lab says so instead of guessing."""


def options(args: Sequence[str], flags: str, valued: str = "") -> tuple[dict[str, str], list[str]]:
    """Single-letter options as a dict ("" for flags) and the operands. `--` ends the options."""
    found: dict[str, str] = {}
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        arg = rest.pop(0)
        if arg == "--":
            break
        letters = arg[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in valued:
                if not letters and not rest:
                    raise UsageError(f"option requires an argument -- '{letter}'")
                found[letter], letters = (letters, "") if letters else (rest.pop(0), "")
            elif letter in flags:
                found[letter] = ""
            else:
                raise UsageError(f"invalid option -- '{letter}'")
    return found, rest
