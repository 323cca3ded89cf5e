"""Finds the deploys: one file each. Imports pyinfra through them, so only the runner may import this.

A deploy's file has a docstring (its first line is the title), `Data` (a pydantic model: what the caller must
give) and `run(data)`, decorated with pyinfra's `@deploy`. `run` may return a function; it is called after the
operations ran, looks at the machine again, and its mapping becomes the result's `data`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

import deploys
from inventory.errors import InvariantError

Conclude = Callable[[], Mapping[str, Any]]

# Modules of this folder that are not deploys.
HELPERS = frozenset({"disk", "efi", "facts", "registry", "wiping"})


@dataclass(frozen=True, slots=True)
class Deploy:
    slug: str  # the module's name
    title: str
    data: type[BaseModel]
    run: Callable[[Any], Conclude | None]


def names() -> tuple[str, ...]:
    """The slugs of all deploys, sorted."""
    found = {module.name for module in pkgutil.iter_modules(deploys.__path__)}
    return tuple(sorted(found - HELPERS))


def find(slug: str) -> Deploy:
    """The deploy with this name. Only names of this folder are ever imported."""
    if slug not in names():
        raise InvariantError(f"there is no deploy {slug!r}", fix=f"there are: {', '.join(names())}")
    module = importlib.import_module(f"deploys.{slug}")
    title = (module.__doc__ or "").strip().split("\n")[0]
    return Deploy(slug, title, module.Data, module.run)


def all_deploys() -> tuple[Deploy, ...]:
    return tuple(find(slug) for slug in names())
