"""Step `configure`: backup table, configuration volume, and last the first MiB, which makes the disk
bootable (ADR 3).
"""

import hashlib

from controller.app.context import NodeJob
from controller.app.imaging import hash_range, write_bytes
from controller.app.steps.base import Record
from controller.app.steps.image import image_of
from roles.installer import InstallLayout


def keep_delivered(job: NodeJob) -> None:
    """Sealed in the store, so that the next plan can show what differs."""
    job.services.store.put_secret(f"node/{job.node.name}/config", job.want().config.text.encode())


class Configure:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"config_digest": job.want().config.digest}

    async def act(self, job: NodeJob) -> Record:
        keep_delivered(job)
        image = await image_of(job)
        async with job.limits.volume:
            ranges = self._ranges(job.want().layout(image))
            for count, (offset, data) in enumerate(ranges):
                job.progress("configure", count, len(ranges))
                await write_bytes(job.services.ssh, job.target, job.record["disk"]["path"], offset, data)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        image = await image_of(job)
        path = job.record["disk"]["path"]
        async with job.limits.volume:
            layout = job.want().layout(image)
            for offset, data in self._ranges(layout):
                found = await hash_range(job.services.ssh, job.target, path, offset, len(data))
                if found != hashlib.sha256(data).hexdigest():
                    return None
        efi = next((p for p in layout.table.partitions if p.name == "EFI"), layout.table.partitions[0])
        return {
            "config_digest": job.want().config.digest,
            "config_partuuid": layout.config_partuuid,
            "efi": {"number": efi.index, "partuuid": str(efi.guid)},
        }

    @staticmethod
    def _ranges(layout: InstallLayout) -> tuple[tuple[int, bytes], ...]:
        """In the order of writing: a power cut before the last one leaves a disk without a boot sector."""
        return (layout.backup, layout.config_volume, (0, layout.first_mib))
