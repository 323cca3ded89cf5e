"""Look whether a machine could be prepared. Changes nothing.

The same checks as `prepare`, as findings instead of an error at the first one.
"""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict
from pyinfra.api.deploy import deploy
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


@deploy("Check")
def run(data: Data) -> registry.Conclude:
    return lambda: _look(data)


def _look(data: Data) -> dict[str, object]:
    state = host.get_fact(DiskFact, path=data.disk.path) if data.disk else DiskState()
    return {
        "findings": list(_findings(data.disk, state, host.get_fact(MissingTools, tools=TOOLS))),
        "holds": state.holds,
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
