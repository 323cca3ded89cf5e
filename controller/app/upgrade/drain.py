"""Empties a node by evictions, which honour disruption budgets, until a deadline. Cordons nothing.

Left alone: static pods, pods of DaemonSets and finished ones. A pod that nothing would make again is evicted
like the others: that is what the operator of a rollout asked for, and `kubectl drain` calls `--force`.
"""

from collections.abc import Sequence

from controller.app.kube_port import Pod
from controller.app.upgrade.reach import Reach
from inventory.errors import CheckFailed, Unreachable
from inventory.wording import count

MARGIN = 5.0  # seconds before the act's own deadline
_EVERY = 1.0
_NAMED = 3


class Blocked(CheckFailed):
    """Pods are left at the deadline."""

    slug = "drain"


def movable(pods: Sequence[Pod]) -> list[Pod]:
    """Those that a drain is about."""
    return [
        pod for pod in pods if not (pod.mirror or pod.finished or pod.controller in ("DaemonSet", "Node"))
    ]


async def drain(reach: Reach, node: str, seconds: float) -> str:
    """How many pods went. Raises Blocked, with what held them, when the time is over."""
    clock, ends = reach.services.clock, reach.services.clock.monotonic() + seconds
    seen: set[str] = set()
    while True:
        late = clock.monotonic() + _EVERY > ends
        try:
            left, refusals = await _round(reach, node)
        except Unreachable:  # an eviction may be asked for as often as one likes
            if late:
                raise
            await clock.sleep(_EVERY)
            continue
        seen |= {pod.uid for pod in left}
        if not left:
            return f"{count(len(seen), 'pod')} moved"
        if late:
            names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in left[:_NAMED])
            why = f": {refusals[0]}" if refusals else ""
            raise Blocked(
                f"{count(len(left), 'pod')} left after {seconds:.0f} s ({names}){why}",
                where=node,
                fix="let the disruption budget allow it, or set forceDrain in the update policy",
            )
        await clock.sleep(_EVERY)


async def feasible(reach: Reach, nodes: Sequence[str]) -> str:
    """Which eviction a disruption budget would refuse now, asked for as a dry run; empty: none."""
    kube = reach.services.kube

    async def call(kubeconfig: bytes, host: str, port: int) -> str:
        pods = movable(await kube.pods(kubeconfig, host=host, port=port))
        for pod in (each for each in pods if each.node in nodes):
            refusal = await kube.evict(kubeconfig, pod, dry_run=True, host=host, port=port)
            if refusal:
                return f"{pod.namespace}/{pod.name} on {pod.node}: {refusal}"
        return ""

    return await reach.kube(call)


async def remaining(reach: Reach, node: str) -> list[Pod]:
    kube = reach.services.kube

    async def call(kubeconfig: bytes, host: str, port: int) -> list[Pod]:
        return movable(await kube.pods(kubeconfig, node=node, host=host, port=port))

    return await reach.kube(call, but=node)


async def _round(reach: Reach, node: str) -> tuple[list[Pod], list[str]]:
    """Asks each pod to go that was not told yet: (those that are there still, why some may not go)."""
    kube = reach.services.kube

    async def call(kubeconfig: bytes, host: str, port: int) -> tuple[list[Pod], list[str]]:
        pods = movable(await kube.pods(kubeconfig, node=node, host=host, port=port))
        asked = [pod for pod in pods if not pod.deleting]
        refusals = [await kube.evict(kubeconfig, pod, host=host, port=port) for pod in asked]
        return pods, [text for text in refusals if text]

    return await reach.kube(call, but=node)
