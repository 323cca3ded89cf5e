"""Runs one pyinfra deploy on one machine and turns its events into a result or an error. Knows no deploy."""

from collections.abc import Mapping
from typing import Any

from controller.app.context import NodeJob
from controller.app.ports import Job
from inventory.errors import CheckFailed, Unreachable


def disk_identity(job: NodeJob) -> dict[str, Any]:
    """The disk as the deploys want it named: they refuse any other that answers to its path."""
    disk = job.record["disk"]
    return {"path": disk["path"], "size": disk["size"], "serial": disk["serial"]}


async def run_deploy(
    job: NodeJob, deploy: str, data: Mapping[str, Any], *, dry_run: bool = False, deadline: float = 180
) -> bool:
    """Whether anything changed (with `dry_run`: would change).

    Raises CheckFailed with the deploy's own reason,
    or Unreachable if the runner ended without a result: then what happened on the machine is not known.
    """
    services = job.services
    order = Job(services.new_id(), deploy, job.target, data, deadline, dry_run)
    async with job.limits.runner:
        async for event in services.runner.run(order):
            if event.kind == "operation" and not dry_run:
                services.store.event(
                    "Operation",
                    f"node/{job.node.name}",
                    str(event.data.get("name", ""))[:200],
                    dict(event.data),
                )
            elif event.kind == "result":
                if not event.data.get("ok", False):
                    raise CheckFailed(
                        str(event.data.get("what", f"deploy {deploy} failed")),
                        where=job.node.name,
                        fix=str(event.data.get("fix", "see cto events, then run cto apply again")),
                    )
                return bool(event.data.get("changed"))
            elif event.kind == "error":
                raise CheckFailed(
                    str(event.data.get("what", "the deploy failed")),
                    where=job.node.name,
                    fix=str(event.data.get("fix", "see cto events, then run cto apply again")),
                )
    raise Unreachable(
        f"the runner ended without a result for {deploy}", where=job.node.name, fix="run cto apply again"
    )
