"""Settings of the bootstrap environment: directories, files, lines in files, kernel settings. Data, and the
commands that bring one about; runs nothing.

Each command is safe to repeat, and a file is never half-written: it is made beside its place and moved there.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inventory.errors import InvariantError

_NEW = ".cto-new"


@dataclass(frozen=True, slots=True)
class Directory:
    path: str
    mode: str = "755"  # octal, as stat(1) prints it


@dataclass(frozen=True, slots=True)
class File:
    path: str
    content: str
    mode: str = "644"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that the file contains somewhere."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Sysctl:
    key: str
    value: str

    @property
    def path(self) -> str:
        """With dots between the parts, a slash stands for a dot inside of one; and the other way round."""
        dot, slash = self.key.find("."), self.key.find("/")
        dotted = slash < 0 or 0 <= dot < slash
        parts = self.key.translate(str.maketrans("./", "/.")) if dotted else self.key
        return f"/proc/sys/{parts}"


Setting = Directory | File | Line | Sysctl
_KINDS: Mapping[str, type[Setting]] = {
    "directory": Directory,
    "file": File,
    "line": Line,
    "sysctl": Sysctl,
}
_NAMES: Mapping[type[Setting], str] = {kind: name for name, kind in _KINDS.items()}


def declared(bootstrap: Mapping[str, Any]) -> tuple[Setting, ...]:
    """The settings that a node's effective `bootstrap` says, in the order in which they are brought about."""
    directories = [Directory(path, _mode(it["mode"])) for path, it in _map(bootstrap, "directories")]
    files = [File(path, it["content"], _mode(it["mode"])) for path, it in _map(bootstrap, "files")]
    lines = [Line(path, text) for path, texts in _map(bootstrap, "lines") for text in dict.fromkeys(texts)]
    sysctls = [Sysctl(key, " ".join(str(value).split())) for key, value in _map(bootstrap, "sysctls")]
    return (*sorted(directories, key=lambda it: it.path), *files, *lines, *sysctls)


def title(setting: Setting) -> str:
    """What it is, in words for the operator."""
    match setting:
        case Line(path):
            return f"line in {path}"
        case Sysctl(key):
            return f"sysctl {key}"
        case Directory(path) | File(path):
            return f"{_NAMES[type(setting)]} {path}"


def summary(settings: Sequence[Setting]) -> str:
    """How many of each kind: "5 directories, 12 files"."""
    plurals = {Directory: "directories", File: "files", Line: "lines", Sysctl: "sysctls"}
    counts = [(kind, sum(type(it) is kind for it in settings)) for kind in plurals]
    return ", ".join(f"{n} {plurals[kind] if n > 1 else _NAMES[kind]}" for kind, n in counts if n)


def commands(setting: Setting) -> str:
    """POSIX shell text that brings it about; a non-zero status says that it did not."""
    match setting:
        case Directory(path, mode):
            folder = shlex.quote(path)
            return f"mkdir -p {folder} && chmod {mode} {folder}"
        case File(path, content, mode):
            file, new = shlex.quote(path), shlex.quote(path + _NEW)
            made = f"printf %s {shlex.quote(content)} > {new} && chmod {mode} {new}"
            return f"{_parent(path)} && {_no_folder(path)} && {made} && mv -f {new} {file}"
        case Line(path, text):
            file = shlex.quote(path)
            # A last line without its end would run into ours.
            ended = f'[ -z "$(tail -c 1 {file} 2>/dev/null)" ] || echo >> {file}'
            line = shlex.quote(text)
            made = f"{_parent(path)} && {{ {ended}; }} && printf '%s\\n' {line} >> {file}"
            return f"grep -sqFx -e {line} {file} || {{ {made}; }}"
        case Sysctl(_, value):
            return f"printf '%s\\n' {shlex.quote(value)} > {shlex.quote(setting.path)}"


def to_data(settings: Sequence[Setting]) -> list[dict[str, str]]:
    """Plain JSON data; `from_data` is its inverse."""
    return [{"kind": _NAMES[type(setting)], **asdict(setting)} for setting in settings]


def from_data(data: Sequence[Mapping[str, str]]) -> tuple[Setting, ...]:
    try:
        return tuple(
            _KINDS[each["kind"]](**{key: value for key, value in each.items() if key != "kind"})
            for each in data
        )
    except (KeyError, TypeError) as error:
        raise InvariantError(f"this is no list of settings: {error}") from error


def _map(bootstrap: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    return list(bootstrap.get(key, {}).items())


def _mode(text: str) -> str:
    return f"{int(text, 8):o}"


def _parent(path: str) -> str:
    return f"mkdir -p {shlex.quote(path.rpartition('/')[0] or '/')}"


def _no_folder(path: str) -> str:
    """`mv` would put the file into a folder that is in its place."""
    said = shlex.quote(f"{path} is a directory")
    return f"{{ [ ! -d {shlex.quote(path)} ] || {{ echo {said} >&2; false; }}; }}"
