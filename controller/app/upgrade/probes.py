"""What became of an effect whose end nobody saw: looked up by reads only, before anything is repeated."""

from collections.abc import Awaitable, Callable

from controller.app.upgrade import drain, images, kubernetes
from controller.app.upgrade.reach import Reach
from controller.core.rollout.messages import Probe, Probed, Verdict
from controller.core.rollout.model import HopKind
from inventory.errors import FleetError


async def look_up(reach: Reach, probe: Probe) -> Probed:
    try:
        done = await _PROBES[probe.step](reach, probe)
    except FleetError as error:
        return Probed(probe.cluster, probe.node, probe.key, Verdict.CANNOT_TELL, error.what)
    verdict = Verdict.DONE if done else Verdict.NOT_DONE
    return Probed(probe.cluster, probe.node, probe.key, verdict, "")


async def _staged(reach: Reach, probe: Probe) -> bool:
    if probe.hop.kind is not HopKind.TALOS:
        return True
    async with reach.reading(probe.node) as node:
        reference = await images.installer(node, reach, probe.node, probe.hop)
        return any(each.name == reference for each in await node.images())


async def _never(reach: Reach, probe: Probe) -> bool:  # noqa: ARG001 - the contract of a probe
    """A snapshot that was begun is taken again: `app.snapshots` takes one that is young enough as it is."""
    return False


async def _cordoned(reach: Reach, probe: Probe) -> bool:
    return await _unschedulable(reach, probe.node)


async def _uncordoned(reach: Reach, probe: Probe) -> bool:
    return not await _unschedulable(reach, probe.node)


async def _unschedulable(reach: Reach, name: str) -> bool:
    kube = reach.services.kube

    async def call(kubeconfig: bytes, host: str, port: int) -> bool:
        nodes = await kube.node_states(kubeconfig, host=host, port=port)
        return any(node.name == name and node.unschedulable for node in nodes)

    return await reach.kube(call, but=name)


async def _drained(reach: Reach, probe: Probe) -> bool:
    return not await drain.remaining(reach, probe.node)


async def _installed(reach: Reach, probe: Probe) -> bool:
    """An install is the last to set the way back, and a version that runs well takes it away: while the node
    still runs the old one, it is there only if the install came to its end.
    """
    async with reach.reading(probe.node) as node:
        return await node.unproved_install()


async def _patched(reach: Reach, probe: Probe) -> bool:
    kind, version = probe.hop.kind, probe.hop.version
    if not await kubernetes.delivered(reach, probe.node, kind, version):
        return False
    kubernetes.keep(reach, probe.node, kind, version)
    return True


_PROBES: dict[str, Callable[[Reach, Probe], Awaitable[bool]]] = {
    "stage": _staged,
    "snapshot": _never,
    "cordon": _cordoned,
    "drain": _drained,
    "uncordon": _uncordoned,
    "install": _installed,
    "patch": _patched,
}
