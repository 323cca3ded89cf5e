"""Step `set-boot`: the firmware boots the installed disk next, and still does later. Does not reboot."""

from controller.app.context import NodeJob
from controller.app.jobs import disk_identity, run_deploy
from controller.app.steps.base import Record


class SetBoot:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"disk": job.record["disk"]["path"]}

    async def act(self, job: NodeJob) -> Record:
        await run_deploy(job, "set_boot", self._data(job))
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        """A dry run that would change nothing proves the boot order."""
        changed = await run_deploy(job, "set_boot", self._data(job), dry_run=True)
        return None if changed else {}

    @staticmethod
    def _data(job: NodeJob) -> Record:
        return {
            "disk": disk_identity(job),
            "arch": job.record["arch"],
            "efi_partition": job.record["efi"]["number"],
            "efi_partuuid": job.record["efi"]["partuuid"],
        }
