"""Step `join`: waits until Talos answers with the cluster's own certificates, on the machine it installed.

With delivery by push, a node that waits for its configuration gets it here; nothing else is started.
"""

from controller.app.context import NodeJob
from controller.app.delivery.registry import delivery_of
from controller.app.recognize import require_same
from controller.app.steps.base import Patience, Record
from controller.app.steps.reboot import Reboot
from inventory.errors import NodeError, Unreachable


class Join:
    repeatable = True
    _still_gone = Reboot()

    async def intent(self, job: NodeJob) -> Record:  # noqa: ARG002 - the contract of a step
        return {}

    async def act(self, job: NodeJob) -> Record:
        patience = Patience(job.services.clock, 900)

        async def answers() -> Record | str:
            try:
                return await self.observe(job) or "Talos does not answer yet"
            except NodeError as error:
                if isinstance(error, Unreachable):
                    # Back in the bootstrap environment: Talos will not come, and the reason is known.
                    await self._still_gone.observe(job)
                await delivery_of(job).while_silent(job)
                if job.pushed:
                    return "it took its configuration and does not answer with the cluster's certificates yet"
                raise

        await patience.until(
            answers,
            where=job.node.name,
            fix="look at its console; if it shows the bootstrap environment, check the boot order; "
            "then run cto apply again",
        )
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        async with job.limits.talos, job.talos() as node:
            version = await node.version()
            same = await require_same(job.want().hardware, node, name=job.node.name)
        found = {"talos": version.tag.removeprefix("v"), "arch": version.arch}
        found |= {"recognized_by": ", ".join(same.by)} if same.by else {}
        # So that it is found again when no site file is at hand.
        return found | ({"talos_address": job.node.talos_address} if job.node.talos_address else {})
