"""Look whether a machine could be prepared. Changes nothing.

The same checks as `prepare`, as findings instead of an error at the first one.
"""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict
from pyinfra.api.deploy import deploy
from pyinfra.api.facts import FactBase
from pyinfra.context import host

from deploys import registry
from deploys.disk import (
    TOOLS,
    DiskFact,
    DiskIdentity,
    DiskState,
    MissingTools,
    require,
    require_tools,
    require_unused,
)
from deploys.efi import FirmwareFact
from inventory.errors import CheckFailed


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    disk: DiskIdentity | None = None
    tools: tuple[str, ...] = ()  # needed later, besides those that writing the image takes


class EpochFact(FactBase[int]):
    """The machine's clock, in seconds since 1970; 0 if it does not say."""

    def command(self) -> str:
        return "date +%s"

    def process(self, output: Any) -> int:
        words = [line.strip() for line in output if line.strip()]
        return int(words[0]) if words and words[0].isascii() and words[0].isdigit() else 0


@deploy("Check")
def run(data: Data) -> registry.Conclude:
    return lambda: _look(data)


def _look(data: Data) -> dict[str, object]:
    state = host.get_fact(DiskFact, path=data.disk.path) if data.disk else DiskState()
    return {
        "findings": list(
            _findings(data.disk, state, host.get_fact(MissingTools, tools=(*TOOLS, *data.tools)))
        ),
        "holds": state.holds,
        "clock": host.get_fact(EpochFact),
        "firmware": "uefi" if host.get_fact(FirmwareFact).uefi else "bios",
    }


def _findings(disk: DiskIdentity | None, state: DiskState, missing: tuple[str, ...]) -> list[dict[str, str]]:
    checks: list[Callable[[], None]] = [lambda: require_tools(missing)]
    if disk is not None:
        checks += [lambda: require(disk, state), lambda: require_unused(disk, state)]
    found = []
    for check in checks:
        try:
            check()
        except CheckFailed as error:
            found.append({"what": error.what, "where": error.where, "fix": error.fix})
    return found
