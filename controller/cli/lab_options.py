"""Which options of `cto lab up` go together. Starts nothing.

Simulated and virtual machines share one command; each kind has options that mean nothing for the other.
"""

import click
from click.core import ParameterSource

from inventory.errors import OperatorError

_VIRTUAL_ONLY = ("image", "memory", "disk_image", "wait")
_SIMULATED_ONLY = ("sites", "mixed", "seed", "boot_seconds", "enroll")


def check_combination(context: click.Context, *, qemu: bool) -> None:
    """Refuses what would be ignored: whoever says it means something by it."""
    given = {
        name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    for name in _SIMULATED_ONLY if qemu else _VIRTUAL_ONLY:
        if name in given:
            what, fix = (
                ("is for simulated machines, not for virtual ones", "leave it out, or leave out --qemu")
                if qemu
                else ("is for virtual machines, which --qemu starts", "add --qemu, or leave it out")
            )
            raise OperatorError(f"{_flag(name)} {what}", fix=fix)
    for name in ("sites", "nodes"):
        if "mixed" in given and name in given:
            fix = f"leave out {_flag(name)}: --mixed 4,1 is two sites, of four machines and of one"
            raise OperatorError(f"--mixed and {_flag(name)} say the same thing twice", fix=fix)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
