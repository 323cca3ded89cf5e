"""What a fact is: a name, a shell command, a parser and the model that the parser makes. Runs nothing.

A command is POSIX sh text for the bootstrap environment (root, Debian), kept to a small subset: simple
commands, pipelines, `if`, `for`, quotes, `$(…)`. It must only read. It may meet a stock Debian that
lacks a tool; that gives a `FactProblem` for this fact and nothing worse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from inventory.errors import NodeError

T_co = TypeVar("T_co", covariant=True)

KIB = 1024

# For `dataclasses.field(metadata=VOLATILE)`: a value that changes while the hardware stays the same.
VOLATILE = {"volatile": True}


class FactError(NodeError):
    """The machine's answer is not what the command prints on an honest machine."""

    slug = "bad-fact"


@dataclass(frozen=True, slots=True)
class FactSpec(Generic[T_co]):
    """One fact. The module that defines it is called `name`.

    `strict`: the command must exit 0 and its output be complete. Otherwise whatever came is parsed, and
    only an empty answer with a non-zero status is a problem.
    `seconds`: how long the command can take at worst. One that may hang (disks, management controllers)
    puts its tools under timeout(1); what only reads the kernel's files does not hang.
    `cap`: bytes of standard output kept.
    """

    name: str
    title: str
    command: str
    parse: Callable[[str], T_co]
    model: type[T_co]
    strict: bool = True
    seconds: int = 0
    cap: int = 64 * KIB


@dataclass(frozen=True, slots=True)
class FactProblem:
    """Why a fact is missing or incomplete, in words for the operator."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Raw:
    """One command's answer as it came. `status` is -1 if it is not known (cut off)."""

    status: int
    stdout: bytes
    stderr: bytes = b""
    truncated: bool = False
