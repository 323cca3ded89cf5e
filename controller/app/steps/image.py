"""Step `image`: streams the image to the disk, all but its first MiB, and reads it back.

Does not make the disk bootable.
"""

from controller.app.context import NodeJob
from controller.app.imaging import MIB, hash_range, write_image
from controller.app.ports import CachedImage
from controller.app.steps.base import Record


class WriteImage:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"url": job.want().image_url, "disk": job.record["disk"]["serial"]}

    async def act(self, job: NodeJob) -> Record:
        image = await image_of(job)
        total, sent = image.compressed_size, 0

        def count(size: int) -> None:
            nonlocal sent
            sent += size
            job.progress("image", sent, total)

        async with job.limits.image:
            await write_image(
                job.services.ssh,
                job.target,
                job.record["disk"]["path"],
                image,
                job.services.images,
                sent=count,
            )
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        image = await image_of(job)
        path = job.record["disk"]["path"]
        found = await hash_range(job.services.ssh, job.target, path, MIB, image.raw_size - MIB)
        if found != image.body_sha256:
            return None
        return {
            "image": {
                "url": job.want().image_url,
                "sha256": image.sha256,
                "talos": job.want().talos,
                "raw_size": image.raw_size,
            },
            "delivery": job.node.delivery.method,  # its kernel arguments are in the image
        }


async def image_of(job: NodeJob) -> CachedImage:
    """The node's image from the cache, fetched if need be, held to the hash of the first fetch."""
    want = job.want()
    wanted = want.image_sha256 or str(job.record.get("image", {}).get("sha256", ""))
    return await job.services.images.ensure(
        want.image_url,
        wanted,
        progress=lambda done, total: job.progress("image-fetch", done, total),
        schematic=want.schematic,
    )
