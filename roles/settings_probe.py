"""How the settings of a machine are looked at: one script for all of them, and what of them does not hold.

The script is a fact like any other (framed, capped, parsed as hostile input): the controller asks over its
own connection, a deploy by pyinfra, and both get the same answer. Reads only.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from facts.spec import FactSpec
from roles.settings import Directory, File, Line, Setting, Sysctl

NAME = "settings"
CAP = 512 * 1024  # bytes of an answer; what is over it counts as not there
_MARK = "\t@"  # no path and no line that can be declared holds a tab


@dataclass(frozen=True, slots=True)
class Seen:
    """What the machine says. Only what was asked for is in it."""

    sums: Mapping[str, str] = field(default_factory=dict)  # file → SHA-256
    modes: Mapping[str, str] = field(default_factory=dict)  # path → "644 regular file"
    lines: frozenset[tuple[str, str]] = frozenset()  # (file, line)
    sysctls: Mapping[str, str] = field(default_factory=dict)  # path below /proc → value


def probe(settings: Sequence[Setting]) -> FactSpec[Seen]:
    """The one question about all these settings."""
    return FactSpec(
        name=NAME,
        title="settings of the bootstrap environment",
        command=_command(settings),
        parse=partial(_parse, tuple(_line_files(settings))),
        model=Seen,
        strict=False,
        seconds=20,
        cap=CAP,
    )


def difference(settings: Sequence[Setting], seen: Seen) -> tuple[Setting, ...]:
    """Those that do not hold."""
    return tuple(setting for setting in settings if not _holds(setting, seen))


def _holds(setting: Setting, seen: Seen) -> bool:
    match setting:
        case Directory(path, mode):
            return seen.modes.get(path) == f"{mode} directory"
        case File(path, content, mode):
            digest = hashlib.sha256(content.encode()).hexdigest()
            # stat(1) has a name of its own for a file without content.
            kinds = (f"{mode} regular file", f"{mode} regular empty file")
            return seen.sums.get(path) == digest and seen.modes.get(path) in kinds
        case Line(path, text):
            return (path, text) in seen.lines
        case Sysctl(_, value):
            return seen.sysctls.get(setting.path) == value


def _command(settings: Sequence[Setting]) -> str:
    """Sections in a fixed order, each behind a mark: few programs, however many settings."""
    files = [it.path for it in settings if isinstance(it, File)]
    folders = [it.path for it in settings if isinstance(it, Directory)]
    sysctls = [it.path for it in settings if isinstance(it, Sysctl)]
    parts = [
        f"sha256sum {_words(files)} 2>/dev/null" if files else ":",
        f"stat -c '%a %F %n' {_words([*files, *folders])} 2>/dev/null" if files or folders else ":",
        f"grep -sH . {_words(sysctls)}" if sysctls else ":",
    ]
    for path, texts in _line_files(settings).items():
        # Prints only lines that were asked for, however long the file is.
        patterns = shlex.quote("\n".join(texts))
        parts.append(f"grep -sFx -e {patterns} {shlex.quote(path)}")
    return f"\nprintf '%s\\n' '{_MARK}'\n".join(parts) + "\n:\n"


def _words(paths: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, paths))


def _line_files(settings: Sequence[Setting]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for setting in settings:
        if isinstance(setting, Line):
            found.setdefault(setting.path, []).append(setting.text)
    return found


def _parse(line_files: Sequence[str], text: str) -> Seen:
    """Total: lines that mean nothing to us are passed over."""
    sections: list[list[str]] = [[]]
    for row in text.split("\n"):
        if row == _MARK and len(sections) < 3 + len(line_files):
            sections.append([])
        else:
            sections[-1].append(row)
    sections += [[] for _ in range(3 + len(line_files) - len(sections))]
    sums, stats, sysctls, *lines = sections
    return Seen(
        sums={path: digest for digest, _, path in (row.partition("  ") for row in sums) if path},
        modes=dict(filter(None, map(_stat, stats))),
        lines=frozenset((path, row) for path, rows in zip(line_files, lines, strict=True) for row in rows),
        sysctls={path: " ".join(value.split()) for path, _, value in (row.partition(":") for row in sysctls)},
    )


def _stat(row: str) -> tuple[str, str] | None:
    """`644 regular file /etc/x` → (`/etc/x`, `644 regular file`)."""
    before, slash, rest = row.partition(" /")
    return (f"/{rest}", before) if slash else None
