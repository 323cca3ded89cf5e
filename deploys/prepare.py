"""Prepare a machine for its image.

Checks the tools and that the disk is the planned one, then clears it. Writes no image and no partition.
"""

from pydantic import BaseModel, ConfigDict
from pyinfra.api.deploy import deploy
from pyinfra.context import host

from deploys import registry, wiping
from deploys.disk import (
    TOOLS,
    BlankFact,
    DiskFact,
    DiskIdentity,
    MissingTools,
    require,
    require_tools,
    require_unused,
)
from inventory.errors import CheckFailed


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    disk: DiskIdentity
    may_hold_data: bool = False  # the plan showed what is on the disk, and it was agreed to lose it
    tools: tuple[str, ...] = ()  # needed later, besides those that writing the image takes


@deploy("Prepare")
def run(data: Data) -> registry.Conclude:
    require_tools(host.get_fact(MissingTools, tools=(*TOOLS, *data.tools)))
    state = host.get_fact(DiskFact, path=data.disk.path)
    require(data.disk, state)
    require_unused(data.disk, state)
    if state.holds and not data.may_hold_data:
        raise CheckFailed(
            f"the plan saw an empty disk, but it holds {state.holds}",
            where=data.disk.path,
            fix="look at it; if it may be lost, write disk.wipe: true for this node and plan again",
        )
    wiping.stop_users(name="Stop what uses the disk", disk=data.disk)
    wiping.wipe(name="Clear the disk", disk=data.disk)
    return lambda: _prove(data.disk)


def _prove(disk: DiskIdentity) -> dict[str, object]:
    if not host.get_fact(BlankFact, path=disk.path, size=disk.size):
        fix = "look at the disk's health (cto node show) and choose another one if this repeats"
        raise CheckFailed("the disk is not blank after it was cleared", where=disk.path, fix=fix)
    return {"blank": True}
