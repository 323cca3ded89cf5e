"""Step `prepare`: a pyinfra deploy checks the machine and clears the old boot sector, so that a half-
written disk never boots.
"""

import hashlib

from controller.app.context import NodeJob
from controller.app.imaging import MIB, hash_range
from controller.app.jobs import disk_identity, run_deploy
from controller.app.steps.base import Record

_BLANK_MIB = hashlib.sha256(bytes(MIB)).hexdigest()


class Prepare:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"disk": job.record["disk"]}

    async def act(self, job: NodeJob) -> Record:
        data = {"disk": disk_identity(job), "may_hold_data": bool(job.record["disk"]["contents"])}
        await run_deploy(job, "prepare", data)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        disk = job.record["disk"]
        first = await hash_range(job.services.ssh, job.target, disk["path"], 0, MIB)
        last = await hash_range(job.services.ssh, job.target, disk["path"], disk["size"] - MIB, MIB)
        return {"prepared": disk["serial"]} if first == last == _BLANK_MIB else None
