"""What a machine's bootstrap environment is to have before anything is installed, as site files say it.

Words only: how it is looked for and brought about is `roles.settings`' matter. Maps, not lists, so that
layers add to each other and null takes an inherited entry away. No secrets: `cto render` shows all of it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from inventory import values as v
from inventory.findings import Finding
from inventory.model import Model

MOST = 64  # entries of each kind
MAX_CONTENT = 32 * 1024  # characters of one file: it travels in one command line
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._@%+=:,-]+)+")
_KERNEL = ("/proc", "/sys", "/dev")
_MODE = re.compile(r"0?[0-7]{3}")


def _path(value: str) -> str:
    if len(value) > 200 or not _PATH.fullmatch(value):
        fix = "write it absolute, without .. and blanks, such as /etc/modprobe.d/site.conf"
        v.refuse(f"{v.quote(value)} is not a path for a setting", fix)
    if value.startswith(tuple(f"{folder}/" for folder in _KERNEL)) or value in _KERNEL:
        v.refuse(f"{v.quote(value)} belongs to the kernel", "write kernel settings under sysctls")
    return value


_MODE_FIX = "write three octal digits in quotes, such as '0644'"
Path = Annotated[str, *v.checked(_path, "/etc/modprobe.d/site.conf", _PATH)]
Mode = Annotated[str, v.matching(_MODE, "a file mode", _MODE_FIX)]  # an example would be shown unquoted


def _line(value: str) -> str:
    if not (0 < len(value) <= 500 and value.isprintable()):
        fix = "write one line of 1 to 500 characters, without line ends, tabs and invisible characters"
        v.refuse(f"{v.quote(value)} is not a line", fix)
    return value


Line = Annotated[str, AfterValidator(_line)]
SysctlValue = Annotated[v.SysctlValue, AfterValidator(_line)]


class BootstrapDirectory(Model):
    mode: Mode = Field(default="0755", description="Permissions.")


class BootstrapFile(Model):
    content: str = Field(
        max_length=MAX_CONTENT,
        description="The whole file. Never a secret: it is shown by `cto render`.",
        examples=["options mlx5_core prof_sel=2\n"],
    )
    mode: Mode = Field(default="0644", description="Permissions.")


class BootstrapFields(Model):
    """What the bootstrap environment is to have before the image is written. The next boot forgets it."""

    directories: Annotated[dict[Path, BootstrapDirectory], Field(max_length=MOST)] | None = Field(
        default=None, description="Directories by path."
    )
    files: Annotated[dict[Path, BootstrapFile], Field(max_length=MOST)] | None = Field(
        default=None, description="Whole files by path."
    )
    lines: (
        Annotated[
            dict[Path, Annotated[list[Line], Field(min_length=1, max_length=MOST)]],
            Field(max_length=MOST),
        ]
        | None
    ) = Field(default=None, description="Lines that a file must contain, by the file's path.")
    sysctls: Annotated[dict[v.SysctlKey, SysctlValue], Field(max_length=MOST)] | None = Field(
        default=None, description="Kernel settings of the bootstrap environment, not of Talos."
    )


def conflicts(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """One path declared as two things, or as a file and as the folder of another."""
    for name, tree in nodes.items():
        wanted: Mapping[str, Any] = tree.get("bootstrap", {})
        files = [*wanted.get("files", ()), *wanted.get("lines", ())]
        folders = {*wanted.get("directories", ())}
        for path in [*files, *folders]:
            folders |= set(_above(path))
        for key in ("files", "lines"):
            for path in wanted.get(key, ()):
                if path in folders:
                    what = f"{path} is declared as a file and as a directory"
                    yield Finding("nodes", name, ("bootstrap", key, path), what, "keep one of the two")
                elif key == "lines" and path in wanted.get("files", ()):
                    what = f"{path} is declared as a whole file, and lines of it as well"
                    fix = "write the lines into the file's content"
                    yield Finding("nodes", name, ("bootstrap", key, path), what, fix)


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
