"""Step `reboot`: leaves the bootstrap environment.

Never told twice while the first order may still be on its way.
"""

from controller.app.context import NodeJob
from controller.app.steps.base import Patience, Record
from inventory.errors import CheckFailed, CommandFailed, HostKeyMismatch, Unreachable

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


class Reboot:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        """The boot that is to end. If the machine is gone already, an earlier attempt wrote it down."""
        ordered = ordered_boot(job)
        try:
            return {"boot_id": await boot_id(job)}
        except Unreachable:
            if not ordered:
                raise
            return {"boot_id": ordered}

    async def act(self, job: NodeJob) -> Record:
        try:
            done = await job.services.ssh.run(job.target, "systemctl reboot", deadline=20)
        except Unreachable:
            return {}  # the machine may go down before it answers: observing decides
        if done.status != 0:
            said = done.stderr[:200].decode(errors="replace")
            raise CommandFailed(
                f"systemctl reboot ended with status {done.status}: {said}",
                where=job.node.name,
                fix="look at the machine's console, then run cto apply again",
            )
        patience = Patience(job.services.clock, 90)

        async def gone() -> bool | str:
            return True if await self.observe(job) is not None else "it still runs the bootstrap environment"

        await patience.until(gone, where=job.node.name, fix="reboot it by hand, then run cto apply again")
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        before = ordered_boot(job)
        try:
            now = await boot_id(job)
        except Unreachable:
            return {}
        except HostKeyMismatch as error:
            raise CheckFailed(
                "it rebooted, but into the bootstrap environment again (or another machine has its address)",
                where=job.node.name,
                fix="check the boot order on its console, compare the KEY words there, then "
                f"cto node add {job.node.name} --confirm-words and cto apply",
            ) from error
        return None if now == before else {}


def ordered_boot(job: NodeJob) -> str:
    """The boot that the latest attempt was to end; empty if there was none in this life of the node."""
    steps = [s for s in job.services.store.steps(f"node/{job.node.name}") if s.ref.step == "reboot"]
    return str(steps[-1].detail.get("boot_id", "")) if steps else ""


async def boot_id(job: NodeJob) -> str:
    """Of the bootstrap environment that answers with the pinned key."""
    done = await job.services.ssh.run(job.target, BOOT_ID, deadline=10)
    return done.stdout.decode(errors="replace").strip()
