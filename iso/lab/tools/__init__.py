"""The commands of the bootstrap environment, one file per family. None runs a real program."""

import importlib
import pkgutil
from collections.abc import Mapping

from iso.lab.shell.call import Tool


def all_tools() -> Mapping[str, Tool]:
    """Every tool of every module here, by name. A module's `TOOLS` table has its own."""
    found: dict[str, Tool] = {}
    for module in pkgutil.iter_modules(__path__, __name__ + "."):
        found.update(getattr(importlib.import_module(module.name), "TOOLS", {}))
    return found
