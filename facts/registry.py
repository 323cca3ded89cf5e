"""Finds the facts: every module of `facts.machine` holds one, under its own name. Runs none of them."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import facts.machine
from facts.spec import FactSpec
from inventory.errors import InvariantError


@cache
def machine_facts() -> tuple[FactSpec[Any], ...]:
    """All facts of a bare machine, by name. `clock` comes first: it is compared with the moment of asking."""
    found = [_load(module.name) for module in iter_modules(facts.machine.__path__)]
    return tuple(sorted(found, key=lambda spec: (spec.name != "clock", spec.name)))


def _load(name: str) -> FactSpec[Any]:
    spec = import_module(f"facts.machine.{name}").FACT
    if not isinstance(spec, FactSpec) or spec.name != name:
        raise InvariantError(
            f"facts/machine/{name}.py does not define FACT = FactSpec(name={name!r}, …)",
            fix="name the module as its fact",
        )
    return spec
