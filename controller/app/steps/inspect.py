"""Step `inspect`: one round trip for all facts, then the disk choice. Changes nothing on the machine."""

from controller.app.context import NodeJob
from controller.app.desired import desire
from controller.app.gather import gather_one
from controller.app.recognize import came_back
from controller.app.steps.base import Record
from facts.registry import machine_facts
from inventory.errors import RefusedError, Unreachable


class Inspect:
    repeatable = True

    async def intent(self, job: NodeJob) -> Record:
        return {"address": job.row.address}

    async def act(self, job: NodeJob) -> Record:
        async with job.limits.gather:
            answer = await gather_one(job.services.ssh, job.target, machine_facts(), clock=job.services.clock)
        if answer.facts is None:
            raise answer.error or Unreachable(
                "no answer", where=job.node.name, fix="check its power and network"
            )
        facts = answer.facts
        came_back(job.services, job.node.name, facts)
        job.services.store.save_facts(job.node.name, facts.to_dict(), facts.digest())
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        """The facts are in the store; what follows from them is decided here and recorded with the state."""
        desired = desire(job.services, job.fleet, job.node)
        if desired.refusals:
            first = desired.refusals[0]
            raise RefusedError(first.reason, where=job.node.name, fix=first.fix)
        if desired.disk is None:
            return None
        job.desired = desired
        return {"disk": desired.disk_record(), "profile": desired.profile, "arch": desired.arch}
