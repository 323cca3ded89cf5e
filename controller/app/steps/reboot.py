"""Step `reboot`: leaves the bootstrap environment.

Never told twice while the first order may still be on its way.
"""

from contextlib import suppress

from controller.app.context import NodeJob
from controller.app.services import Services
from controller.app.steps.base import Patience, Record
from inventory.errors import CheckFailed, CommandFailed, HostKeyMismatch, Unreachable

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


class Reboot:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        """The boot that is to end. If the machine is gone already, an earlier attempt wrote it down."""
        earlier = job.services.store.steps(f"node/{job.node.name}")
        open_before = [s for s in earlier if s.ref.step == "reboot"][-1:]
        try:
            return {"boot_id": await boot_id(job)}
        except Unreachable:
            if not open_before or open_before[0].outcome == "done":
                raise
            return {"boot_id": ordered_boot(job.services, job.node.name)}

    async def act(self, job: NodeJob) -> Record:
        # The machine may go down before it answers: then only waiting tells.
        if job.growth is not None:
            await job.growth.still(job.node.name)
        with suppress(Unreachable):
            await self._order(job)
        patience = Patience(job.services.clock, 90)

        async def gone() -> bool | str:
            return True if await self.observe(job) is not None else "it still runs the bootstrap environment"

        await patience.until(gone, where=job.node.name, fix="reboot it by hand, then run cto apply again")
        return {}

    @staticmethod
    async def _order(job: NodeJob) -> None:
        done = await job.services.ssh.run(job.target, "systemctl reboot", deadline=20)
        if done.status != 0:
            said = done.stderr[:200].decode(errors="replace")
            raise CommandFailed(
                f"systemctl reboot ended with status {done.status}: {said}",
                where=job.node.name,
                fix="look at the machine's console, then run cto apply again",
            )

    async def observe(self, job: NodeJob) -> Record | None:
        before = ordered_boot(job.services, job.node.name)
        try:
            now = await boot_id(job)
        except Unreachable:
            return {}
        except HostKeyMismatch as error:
            raise environment_again(job.node.name) from error
        return None if now == before else {}


def environment_again(node: str) -> CheckFailed:
    """For a machine that was told to reboot, and answers with another host key than the pinned one."""
    return CheckFailed(
        "it rebooted, but into the bootstrap environment again (or another machine has its address)",
        where=node,
        fix="check the boot order on its console, compare the KEY words there, then "
        f"cto node add {node} --confirm-words and cto apply",
    )


def ordered_boot(services: Services, node: str) -> str:
    """The boot that the latest attempt was to end; empty if there was none."""
    steps = [s for s in services.store.steps(f"node/{node}") if s.ref.step == "reboot"]
    return str(steps[-1].detail.get("boot_id", "")) if steps else ""


async def boot_id(job: NodeJob) -> str:
    """Of the bootstrap environment that answers with the pinned key."""
    done = await job.services.ssh.run(job.target, BOOT_ID, deadline=10)
    return done.stdout.decode(errors="replace").strip()
