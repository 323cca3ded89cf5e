"""Confirms a plan on the machines: a runner job looks at each that will be installed. Changes nothing.

The deploy `check` applies the rules of `prepare` (ADR 18): what it finds is what `cto apply` would stop at.
A machine that can't be looked at is left unconfirmed; that is no reason against the plan.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from controller.app.context import target_of
from controller.app.delivery.registry import tools_of
from controller.app.jobs import as_error
from controller.app.ports import Job
from controller.app.services import Services
from controller.core.confirmation import CONFIRMED, refused, unconfirmed
from controller.core.plan import Change, NodePlan, Refusal
from inventory.errors import FleetError, HostKeyMismatch, Unreachable
from inventory.lifecycle import NodeState
from roles.checks import SKEW_MAX

SECONDS = 20.0  # for all machines together: a plan is looked at by somebody who waits
_AT_ONCE = 8  # as many as the runner works on with two cores
_BOOTSTRAP = (
    NodeState.PINNED,
    NodeState.INSPECTED,
    NodeState.PREPARED,
    NodeState.IMAGED,
    NodeState.CONFIGURED,
    NodeState.BOOT_SET,
)


async def confirm(
    services: Services, nodes: Sequence[NodePlan], *, seconds: float = SECONDS
) -> list[NodePlan]:
    """`nodes` in their order: each that will be written to confirmed, refused by what was found, or
    unconfirmed with the reason.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    looks = {n.name: asyncio.ensure_future(_look(services, gate, n, seconds)) for n in nodes if _asked(n)}
    if looks:
        _, late = await asyncio.wait(looks.values(), timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return [_conclude(n, looks[n.name], seconds) if n.name in looks else n for n in nodes]


def _asked(node: NodePlan) -> bool:
    installs = node.change in (Change.INSTALL, Change.RESUME) and node.state in _BOOTSTRAP
    return installs and node.disk is not None and not node.confirmation


async def _look(
    services: Services, gate: asyncio.Semaphore, node: NodePlan, seconds: float
) -> tuple[Refusal, ...]:
    """What speaks against the plan; nothing if the machine is as planned."""
    row, disk = services.store.node(node.name), node.disk
    if row is None or disk is None:
        return ()
    identity = {"path": disk.path, "size": disk.size, "serial": disk.serial}
    data = {"disk": identity, "tools": list(tools_of(node.delivery))}
    job = Job(services.new_id(), "check", target_of(row), data, deadline=seconds)
    async with gate:
        before = services.clock.now().timestamp()
        found = await _check(services, job)
    refusals = [Refusal(f"{f['where'] or node.name}: {f['what']}", f["fix"]) for f in found["findings"]]
    return (*refusals, *_clock(float(found["clock"]), before, services.clock.now().timestamp()))


async def _check(services: Services, job: Job) -> Mapping[str, Any]:
    async with aclosing(services.runner.run(job)) as events:
        async for event in events:
            if event.kind == "error":
                raise as_error(event, job.target.name)
            if event.kind == "result":
                found: Mapping[str, Any] = event.data["data"]
                return found
    raise Unreachable("the runner ended without a result", where=job.target.name, fix="run it again")


def _clock(told: float, before: float, after: float) -> tuple[Refusal, ...]:
    """It was told at some time between the two moments, which accuses no good clock."""
    ahead = told - min(max(told, before), after)
    if abs(ahead) <= SKEW_MAX:
        return ()
    what = f"its clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
    return (Refusal(what, "set the machine's clock, or give it a time server"),)


def _conclude(node: NodePlan, look: "asyncio.Future[tuple[Refusal, ...]]", seconds: float) -> NodePlan:
    if look.cancelled():
        return replace(node, confirmation=unconfirmed(f"not looked at within {seconds:g} s"))
    error = look.exception()
    # Somebody else answers. Where the machine may have been restarted half-way, the run says what to do.
    if isinstance(error, HostKeyMismatch) and node.change is Change.INSTALL:
        return refused(node, Refusal(error.what, error.fix))
    if isinstance(error, FleetError):
        return replace(node, confirmation=unconfirmed(error.what))
    if error is not None:
        raise error
    findings = look.result()
    return refused(node, *findings) if findings else replace(node, confirmation=CONFIRMED)
