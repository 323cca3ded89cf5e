"""Our own program and the Python distributions that it needs, copied from where this build runs.

So the image runs the very versions that its builder runs. Fetches nothing.
"""

import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import inventory
from inventory.errors import OperatorError
from iso.render import packages
from iso.render.sbom import Component

PRODUCT = "platform-in-a-box"
ROOMS = ("inventory", "facts", "roles", "deploys", "iso", "web", "controller")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
# Second copies of what is there anyway: asyncio variants, other back ends, installers.
_SPARE = re.compile(r"^(kubernetes/aio|pip|setuptools|zstandard/_cffi|gevent/tests)")
_USELESS = re.compile(r"(^|/)(tests?|testing|__pycache__|docs)/|\.(pyc|pyi|pyx|pxd|c|h|cpp|hpp)$")


def check_interpreter() -> None:
    """Compiled modules fit one version of Python on one kind of machine."""
    here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {platform.system()} {platform.machine()}"
    if here != f"Python {packages.PYTHON} on Linux x86_64":
        raise OperatorError(
            f"this is {here}, and the image needs modules of Python {packages.PYTHON} on Linux x86_64",
            fix=f"build on Debian {packages.SUITE} (amd64), in a container if need be",
        )


def needed(name: str = PRODUCT) -> dict[str, metadata.Distribution]:
    """All installed distributions that `name` needs, by normal name, without optional ones."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        current = _normal(waiting.pop())
        if current in found:
            continue
        try:
            found[current] = metadata.distribution(current)
        except metadata.PackageNotFoundError:
            continue  # needed on other systems only
        waiting += list(_requirements(found[current]))
    return dict(sorted(found.items()))


def _requirements(distribution: metadata.Distribution) -> Iterator[str]:
    for line in distribution.requires or ():
        text, _, marker = line.partition(";")
        match = _NAME.match(text.strip())
        if match and "extra" not in marker:
            yield match[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def copy(target: Path) -> tuple[Component, ...]:
    """Copies the program and what it needs to `target`, a folder that Python searches."""
    check_interpreter()
    target.mkdir(parents=True, exist_ok=True)
    found = needed()
    for name, distribution in found.items():
        _copy_metadata(distribution, target) if name == PRODUCT else _copy(distribution, target)
    source = Path(inventory.__file__).parents[1]
    for room in ROOMS:
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(source / room, target / room, ignore=ignore)
    copied = {name: item for name, item in found.items() if not _SPARE.match(name)}
    return tuple(Component("pypi", name, item.version) for name, item in copied.items())


def _copy(distribution: metadata.Distribution, target: Path) -> None:
    for file in distribution.files or ():
        name = str(file)
        if name.startswith("..") or _USELESS.search(name) or _SPARE.match(name):
            continue  # scripts, and what only its makers use
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(str(distribution.locate_file(file))), place)


def _copy_metadata(distribution: metadata.Distribution, target: Path) -> None:
    """Name and version, so that `cto --version` can say them."""
    folder = target / f"{PRODUCT.replace('-', '_')}-{distribution.version}.dist-info"
    folder.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (folder / name).write_text(distribution.read_text(name) or "")
