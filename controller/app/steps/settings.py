"""Step `settings`: the settings of a machine that was made ready are brought back. Touches no disk."""

from controller.app.context import NodeJob
from controller.app.settings import deviations, settle, wanted_by
from controller.app.steps.base import Record
from roles.settings import title


class Settings:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        found = await deviations(job.services, job.target, wanted_by(job))
        return {"differ": [title(each) for each in found]}

    async def act(self, job: NodeJob) -> Record:
        await settle(job)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        return {} if not await deviations(job.services, job.target, wanted_by(job)) else None
