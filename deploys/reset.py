"""Wipe a disk so that the machine holds no system.

For machines in the bootstrap environment; a running Talos node is reset by its own API.
"""

from pydantic import BaseModel, ConfigDict
from pyinfra.api.deploy import deploy
from pyinfra.context import host

from deploys import registry, wiping
from deploys.disk import TOOLS, DiskFact, DiskIdentity, MissingTools, require_tools


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    disk: DiskIdentity


@deploy("Reset")
def run(data: Data) -> registry.Conclude:
    require_tools(host.get_fact(MissingTools, tools=TOOLS))
    wiping.stop_users(name="Stop what uses the disk", disk=data.disk)
    wiping.wipe(name="Clear the disk", disk=data.disk)
    return lambda: {"holds": host.get_fact(DiskFact, path=data.disk.path).holds}
