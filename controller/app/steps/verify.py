"""Step `verify`: fresh reads say that the node is what was planned. Repairs nothing."""

from collections.abc import Mapping
from typing import Any

from controller.app.context import NodeJob
from controller.app.ports import TalosNode
from controller.app.steps.base import Patience, Record


class Verify:
    repeatable = True

    async def intent(self, job: NodeJob) -> Record:
        return {"talos": job.want().talos}

    async def act(self, job: NodeJob) -> Record:
        patience = Patience(job.services.clock, 600)

        async def good() -> bool | str:
            problem = await self.problem(job)
            return problem or True

        await patience.until(good, where=job.node.name, fix=_fix(str(job.cluster.settings.get("cni"))))
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        return None if await self.problem(job) else {"verified_at": job.services.clock.now().isoformat()}

    @staticmethod
    async def problem(job: NodeJob) -> str:
        """Why the node is not as it should be; empty if it is."""
        async with job.limits.talos, job.talos() as node:
            return await Verify.problem_of(node, job.record)

    @staticmethod
    async def problem_of(node: TalosNode, record: Mapping[str, Any]) -> str:
        """The same over a connection that is open already."""
        version = (await node.version()).tag.removeprefix("v")
        status = await node.machine_status()
        services = await node.services()
        installed = record.get("image", {}).get("talos", "")
        if installed and version != installed:
            return f"it runs Talos {version}, but {installed} was installed"
        if status.stage != "running" or not status.ready:
            return f"it is {status.stage}, not ready: {'; '.join(status.unmet) or 'no reason given'}"
        sick = sorted(name for name, state in services.items() if state.endswith("/unhealthy"))
        return f"unhealthy services: {', '.join(sick)}" if sick else ""


def _fix(cni: str) -> str:
    """A node that waits for its pod network says only that it is not ready."""
    hint = {
        "none": "install the pod network that `cni: none` leaves to you (cto cluster kubeconfig)",
        "cilium": "see whether Cilium came up: kubectl -n kube-system logs job/cilium-install",
    }.get(cni, "see cto node show and cto events")
    return f"{hint}, then run cto apply again"
