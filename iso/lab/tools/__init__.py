"""The commands of the bootstrap environment, one file per family. `all_tools` finds them; none runs a real program."""

import importlib
import pkgutil
from collections.abc import Mapping

from iso.lab.shell.call import Tool


def all_tools() -> Mapping[str, Tool]:
    """Every tool of every module here, by name. Each module has a `TOOLS` table."""
    found: dict[str, Tool] = {}
    for module in pkgutil.iter_modules(__path__, __name__ + "."):
        found.update(importlib.import_module(module.name).TOOLS)
    return found
