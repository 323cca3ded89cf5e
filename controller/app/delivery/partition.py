"""Delivery by a partition called metal-iso, which Talos reads at its first boot and we drop afterwards."""

import hashlib

from controller.app.context import NodeJob
from controller.app.imaging import MIB, hash_range, write_bytes
from roles.installer import InstallLayout


class Partition:
    tools: tuple[str, ...] = ()
    drops = True
    span = 24 * MIB  # META's end, alignment, the 16 MiB volume

    async def put(self, job: NodeJob, layout: InstallLayout) -> None:
        offset, data = layout.config_volume
        await write_bytes(job.services.ssh, job.target, job.record["disk"]["path"], offset, data)

    async def holds(self, job: NodeJob, layout: InstallLayout) -> bool:
        offset, data = layout.config_volume
        path = job.record["disk"]["path"]
        found = await hash_range(job.services.ssh, job.target, path, offset, len(data))
        return found == hashlib.sha256(data).hexdigest()

    async def while_silent(self, job: NodeJob) -> None:
        """Talos finds its configuration by itself."""
