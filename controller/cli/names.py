"""Checks that our import names are ours alone: another distribution could bring a `web` or `facts` too.

Reading every distribution's file list takes a tenth of a second, so the good answer is remembered
beside the store, under a key that changes whenever something is installed or removed.
"""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from controller.cli.base import App
from inventory.errors import OperatorError, StoreError

DISTRIBUTION = "platform-in-a-box"
NAMES = ("inventory", "facts", "roles", "deploys", "iso", "web", "controller")


def foreign_owners(owners: Mapping[str, Sequence[str]], names: Sequence[str] = NAMES) -> dict[str, list[str]]:
    """Import name → distributions other than ours that provide it too."""
    foreign = {name: sorted(set(owners.get(name, ())) - {DISTRIBUTION}) for name in names}
    return {name: found for name, found in foreign.items() if found}


def installed_owners() -> Mapping[str, Sequence[str]]:
    """Top-level import name → distributions that provide it, as installed in this Python."""
    from importlib.metadata import packages_distributions

    return packages_distributions()


def sentence(foreign: Mapping[str, Sequence[str]]) -> str:
    listed = "; ".join(f"{name} by {', '.join(found)}" for name, found in sorted(foreign.items()))
    return f"other packages in this Python use our import names: {listed}"


FIX = (
    "install cto in its own environment: uv tool install platform-in-a-box, or pipx install platform-in-a-box"
)


def check_at_start(app: App) -> None:
    """Raises StoreError if a name is shared. Costs a few stat calls when the last answer still holds."""
    from controller.cli.errors import home_path

    folder = home_path(app)
    if folder.exists() and not folder.is_dir():
        what = "the home is not a directory"
        raise OperatorError(what, where=str(folder), fix="choose another home: cto --home DIR …, or CTO_HOME")
    if not folder.is_dir():
        return  # nothing is kept yet, so there is nothing to harm; and a mere --help must not create it
    marker, key = folder / "names.ok", _key()
    with suppress(OSError, UnicodeDecodeError):  # no usable answer yet: look
        if marker.read_text(encoding="ascii") == key:
            return
    foreign = foreign_owners(installed_owners())
    if foreign:
        raise StoreError(sentence(foreign), fix=FIX)
    with suppress(OSError):  # a home that can't be written only costs the time of looking again
        marker.touch(mode=0o600)
        marker.write_text(key, encoding="ascii")


def _key() -> str:
    """Changes when a distribution comes or goes: that touches its site directory."""
    parts = [sys.prefix, sys.version]
    for entry in sys.path:
        if entry.endswith(("site-packages", "dist-packages")):
            try:
                parts.append(f"{entry}:{os.stat(entry).st_mtime_ns}")  # noqa: PTH116 - cheaper than Path at each start
            except OSError:
                parts.append(entry)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
