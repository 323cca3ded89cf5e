"""The kinds of a site file, one module each, found by their place: a `Document` with `kind` and `spec`.

Adding one is adding a file here; nothing else lists them.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from inventory.errors import InvariantError
from inventory.model import Document


@cache
def kinds() -> Mapping[str, type[Document]]:
    """Kind → model, in the order of their module names."""
    found: dict[str, type[Document]] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Document)
                and value.__module__ == module.__name__
            ):
                if value.__name__ in found:
                    raise InvariantError(f"two modules declare the kind {value.__name__}", where=info.name)
                found[value.__name__] = value
    return found
