"""Step `prepare`: a pyinfra deploy checks the machine and clears the old boot sector, so that a half-
written disk never boots; then the settings that the site file wants of the machine are brought about.
"""

import hashlib

from controller.app.context import NodeJob
from controller.app.delivery.registry import tools_of
from controller.app.imaging import MIB, hash_range
from controller.app.jobs import disk_identity, run_deploy
from controller.app.settings import deviations, settle, wanted_by
from controller.app.steps.base import Record

_BLANK_MIB = hashlib.sha256(bytes(MIB)).hexdigest()


class Prepare:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"disk": job.record["disk"]}

    async def act(self, job: NodeJob) -> Record:
        tools = list(tools_of(job.node.delivery.method))
        holds = bool(job.record["disk"]["contents"])
        data = {"disk": disk_identity(job), "may_hold_data": holds, "tools": tools}
        await run_deploy(job, "prepare", data)
        await settle(job)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        disk = job.record["disk"]
        first = await hash_range(job.services.ssh, job.target, disk["path"], 0, MIB)
        last = await hash_range(job.services.ssh, job.target, disk["path"], disk["size"] - MIB, MIB)
        if not first == last == _BLANK_MIB or await deviations(job.services, job.target, wanted_by(job)):
            return None
        return {"prepared": disk["serial"]}
