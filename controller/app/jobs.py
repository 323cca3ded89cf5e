"""Runs one pyinfra deploy on one machine and turns its events into a result or an error. Knows no deploy."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from controller.app.context import NodeJob
from controller.app.ports import Job, RunnerEvent
from inventory.errors import (
    CheckFailed,
    CommandFailed,
    FleetError,
    HostKeyMismatch,
    InvariantError,
    NodeError,
    RefusedError,
    Unreachable,
)

_ERRORS: Mapping[str, type[FleetError]] = {
    kind.slug: kind
    for kind in (
        CheckFailed,
        CommandFailed,
        HostKeyMismatch,
        InvariantError,
        NodeError,
        RefusedError,
        Unreachable,
    )
}


def as_error(event: RunnerEvent, node: str) -> FleetError:
    """The exception that an `error` event stands for."""
    kind = _ERRORS.get(str(event.data.get("slug")), NodeError)
    where = str(event.data.get("where") or "")
    place = f"{node}: {where}" if where and where != node else node
    return kind(str(event.data["what"]), where=place, fix=str(event.data.get("fix") or ""))


def disk_identity(job: NodeJob) -> dict[str, Any]:
    """The disk as the deploys want it named: they refuse any other that answers to its path."""
    disk = job.record["disk"]
    return {"path": disk["path"], "size": disk["size"], "serial": disk["serial"]}


async def run_deploy(
    job: NodeJob, deploy: str, data: Mapping[str, Any], *, dry_run: bool = False, deadline: float = 180
) -> bool:
    """Whether anything changed (with `dry_run`: would change).

    Raises the deploy's own error, or Unreachable if the runner ended without a result: then what happened
    on the machine is not known.
    """
    services = job.services
    order = Job(services.new_id(), deploy, job.target, data, deadline, dry_run)
    name = job.node.name
    async with job.limits.runner, aclosing(services.runner.run(order)) as events:
        async for event in events:
            if event.kind == "operation" and not dry_run:
                title = str(event.data.get("name", ""))[:200]
                services.store.event("Operation", f"node/{name}", title, dict(event.data))
            elif event.kind == "error":
                raise as_error(event, name)
            elif event.kind == "result":
                return bool(event.data.get("changed"))
    raise Unreachable(
        f"the runner ended without a result for {deploy}", where=job.node.name, fix="run cto apply again"
    )
