"""Step `configure`: backup table, the configuration in the node's way of delivery, and last the first MiB,
which makes the disk bootable (ADR 3, ADR 11).
"""

import hashlib

from controller.app.context import NodeJob
from controller.app.delivered import keep_delivered
from controller.app.delivery.registry import delivery_of
from controller.app.imaging import hash_range, write_bytes
from controller.app.steps.base import Record
from controller.app.steps.image import image_of


class Configure:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"config_digest": job.want().config.digest, "delivery": job.node.delivery.method}

    async def act(self, job: NodeJob) -> Record:
        keep_delivered(job)
        image = await image_of(job)
        path = job.record["disk"]["path"]
        async with job.limits.volume:
            layout = job.want().layout(image)
            await write_bytes(job.services.ssh, job.target, path, *layout.backup)
            job.progress("configure", 1, 3)
            await delivery_of(job).put(job, layout)
            job.progress("configure", 2, 3)
            # A power cut before this leaves a disk without a boot sector.
            await write_bytes(job.services.ssh, job.target, path, 0, layout.first_mib)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        image = await image_of(job)
        path = job.record["disk"]["path"]
        async with job.limits.volume:
            layout = job.want().layout(image)
            for offset, data in (layout.backup, (0, layout.first_mib)):
                found = await hash_range(job.services.ssh, job.target, path, offset, len(data))
                if found != hashlib.sha256(data).hexdigest():
                    return None
            if not await delivery_of(job).holds(job, layout):
                return None
        efi = next((p for p in layout.table.partitions if p.name == "EFI"), layout.table.partitions[0])
        return {
            "config_digest": job.want().config.digest,
            "config_partuuid": layout.config_partuuid,
            "efi": {"number": efi.index, "partuuid": str(efi.guid)},
        }
