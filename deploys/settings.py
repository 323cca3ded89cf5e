"""Bring about settings of the bootstrap environment.

Directories, files, lines in files and kernel settings that are not yet as wanted. Touches no disk.
"""

from collections.abc import Generator, Mapping

from pydantic import BaseModel, ConfigDict
from pyinfra.api.deploy import deploy
from pyinfra.api.operation import operation
from pyinfra.context import host

from deploys import registry
from deploys.facts import fact_class
from inventory.errors import CheckFailed
from roles.settings import Setting, commands, from_data, summary, title
from roles.settings_probe import difference, probe


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: tuple[Mapping[str, str], ...]  # as `roles.settings.to_data` writes them


@deploy("Settings")
def run(data: Data) -> registry.Conclude:
    wanted = from_data(data.settings)
    for setting in _missing(wanted):
        bring_about(name=f"Bring about {title(setting)}", setting=setting)
    return lambda: _prove(wanted)


@operation()
def bring_about(setting: Setting) -> Generator[str, None, None]:
    """One setting. That it does not hold was found by one look at all; its command is safe to repeat."""
    yield commands(setting)


def _missing(wanted: tuple[Setting, ...]) -> tuple[Setting, ...]:
    return difference(wanted, host.get_fact(fact_class(probe(wanted))))


def _prove(wanted: tuple[Setting, ...]) -> dict[str, object]:
    left = _missing(wanted)
    if left:
        fix = "see whether something else on the machine changes it, then run cto apply again"
        what = f"these settings do not hold after they were made: {', '.join(map(title, left))[:500]}"
        raise CheckFailed(what, fix=fix)
    return {"settings": summary(wanted)}
