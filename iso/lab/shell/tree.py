"""What a script of the lab's shell is once it was parsed: a small tree of frozen values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    quoted: bool
    operator: str = ""  # "", ":-", "-", ":+", "+", "#", "##", "%", "%%", "length"
    operand: "Word" = ()


@dataclass(frozen=True, slots=True)
class Substitution:
    body: "Script"
    quoted: bool


Part = Text | Variable | Substitution
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    fd: int
    operator: str  # "<", ">", ">>", ">&"
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Group:
    body: "Script"
    subshell: bool


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple["Script", "Script"], ...]
    otherwise: "Script"


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[Word, ...] | None  # None: over "$@"
    body: "Script"


@dataclass(frozen=True, slots=True)
class While:
    condition: "Script"
    body: "Script"
    until: bool


@dataclass(frozen=True, slots=True)
class Case:
    subject: Word
    branches: tuple[tuple[tuple[Word, ...], "Script"], ...]


@dataclass(frozen=True, slots=True)
class Command:
    body: "Simple | Compound"
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...]  # ("&&" | "||", pipeline)
    background: bool = False


Script = tuple[AndOr, ...]
Compound = Group | If | For | While | Case
