"""The acts of a rollout: each one effect on one node, done once, with an answer that never guesses.

NOT_SENT is said only if nothing can have reached the node; a verified no is FAILED; everything else that went
wrong is INDETERMINATE, and is looked up (`probes`) before anything is repeated. Chooses no node and no time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.app.snapshots import fresh
from controller.app.upgrade import drain, images, kubernetes
from controller.app.upgrade.lease import Disruption
from controller.app.upgrade.reach import NotSent, Reach
from controller.core.rollout.messages import Act, Outcome, Result
from controller.core.rollout.model import HopKind
from controller.store.snapshots import SnapshotRow
from inventory.errors import CheckFailed, FleetError, NotYet, Unreachable

# Steps before which the cluster's lease has to be ours: from the first of them on it is this node's turn.
_LEASED = frozenset(("cordon", "drain", "install", "upgrade", "patch", "reboot"))
_BACK_SNAPSHOT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Doing:
    """One act and what it is done with."""

    reach: Reach
    act: Act
    disruption: Disruption


async def perform(doing: Doing) -> Outcome:
    """Ends by the act's own deadline. Never raises for what the node does."""
    act = doing.act
    try:
        async with asyncio.timeout(act.seconds):
            if act.step in _LEASED:
                await doing.disruption.hold(act.seconds)
            detail = await _STEPS[act.step](doing)
    except NotSent as error:
        return _outcome(act, Result.NOT_SENT, error.what)
    except NotYet as error:
        return _outcome(act, Result.NOT_SENT, error.what)
    except (Unreachable, TimeoutError) as error:
        what = error.what if isinstance(error, FleetError) else f"no end within {act.seconds:.0f} s"
        return _outcome(act, Result.INDETERMINATE, what)
    except drain.Blocked as error:
        return _outcome(act, Result.FAILED, error.what)
    except FleetError as error:
        return _outcome(act, Result.FAILED, error.what)
    return _outcome(act, Result.DONE, detail)


def _outcome(act: Act, result: Result, detail: str) -> Outcome:
    return Outcome(act.cluster, act.node, act.key, result, detail)


async def _stage(doing: Doing) -> str:
    """From 1.13 on the image is pulled ahead. Before, nothing can be: MachineService.ImagePull fills the
    containerd of the CRI (Talos v1alpha1_images.go), and Upgrade pulls into the system's (install/pull.go).
    """
    act = doing.act
    if act.hop.kind is not HopKind.TALOS:
        return "pulled by the upgrade itself"
    async with doing.reach.acting(act.node) as node:
        reference = await images.installer(node, doing.reach, act.node, act.hop)
        return await node.image_pull(reference)


async def _snapshot(doing: Doing) -> str:
    act = doing.act
    reason = f"before {act.hop.version} ({act.key.partition('/')[0]})"
    taking = fresh(doing.reach.services, act.cluster, reason)
    row = await (_at_once(taking, act) if act.hop.kind is HopKind.BACK else taking)
    return f"snapshot {row.id}, {row.size} bytes, sha256 {row.sha256}"


async def _at_once(taking: Awaitable[SnapshotRow], act: Act) -> SnapshotRow:
    """A way back does not wait for long: a cluster that is to be mended may give none. One plain no."""
    try:
        async with asyncio.timeout(min(_BACK_SNAPSHOT, act.seconds / 2)):
            return await taking
    except (FleetError, TimeoutError) as error:
        what = error.what if isinstance(error, FleetError) else "no end in time"
        raise CheckFailed(what, where=act.cluster, fix="cto etcd snapshot") from error


async def _cordon(doing: Doing) -> str:
    return await _set_cordon(doing, on=True)


async def _uncordon(doing: Doing) -> str:
    """And while the node is at hand, its configuration names the installer of what it runs now."""
    act = doing.act
    await _set_cordon(doing, on=False)
    if act.hop.kind in (HopKind.TALOS, HopKind.TALOS_LEGACY, HopKind.BACK):
        return await images.align(doing.reach, act.node, act.hop.version)
    return ""


async def _set_cordon(doing: Doing, *, on: bool) -> str:
    name, kube = doing.act.node, doing.reach.services.kube

    async def call(kubeconfig: bytes, host: str, port: int) -> str:
        await kube.cordon(kubeconfig, name, on=on, host=host, port=port)
        return ""

    return await doing.reach.kube(call, but=name)


async def _drain(doing: Doing) -> str:
    seconds = max(doing.act.seconds - drain.MARGIN, doing.act.seconds / 2)
    return await drain.drain(doing.reach, doing.act.node, seconds)


async def _install(doing: Doing) -> str:
    """Pulls again first: a node that restarted by itself has forgotten its images."""
    act = doing.act
    async with doing.reach.acting(act.node) as node:
        reference = await images.installer(node, doing.reach, act.node, act.hop)
        if await images.there(node, act.hop) or await node.unproved_install():
            return "it is installed already"  # once more would overwrite the version to go back to
        if all(each.name != reference for each in await node.images()):
            await node.image_pull(reference)
        await node.lifecycle_upgrade(reference)
    return reference


async def _upgrade(doing: Doing) -> str:
    """`preserve`: without it older versions wipe the node's data and leave etcd. Its other meaning, to leave
    out the node's own look at etcd, is made good by the guard, which has just looked.
    """
    act = doing.act
    async with doing.reach.acting(act.node) as node:
        reference = await images.installer(node, doing.reach, act.node, act.hop)
        if await images.there(node, act.hop):
            return "it runs it already"
        return await node.upgrade(reference, preserve=True)


async def _reboot(doing: Doing) -> str:
    async with doing.reach.acting(doing.act.node) as node:
        await node.reboot()
    return ""


async def _back(doing: Doing) -> str:
    """Kubernetes goes back by its configuration, Talos by its other boot slot."""
    act = doing.act
    if act.hop.kind in (HopKind.CONTROL_PLANE, HopKind.KUBELET):
        return await kubernetes.patch(doing.reach, act.node, act.hop.kind, act.hop.source)
    wanted = act.hop.version if act.hop.kind is HopKind.BACK else act.hop.source
    async with doing.reach.acting(act.node) as node:
        new = act.hop.schematic and wanted == act.hop.version and await images.there(node, act.hop)
        if await images.runs(node, wanted) and not new:
            what = f"it runs {wanted} already, and Rollback would take it away from that"
            raise CheckFailed(what, where=act.node, fix="cto rollout status")
        await node.rollback()
    return ""


async def _patch(doing: Doing) -> str:
    act = doing.act
    return await kubernetes.patch(doing.reach, act.node, act.hop.kind, act.hop.version)


_STEPS: dict[str, Callable[[Doing], Awaitable[str]]] = {
    "stage": _stage,
    "snapshot": _snapshot,
    "cordon": _cordon,
    "drain": _drain,
    "install": _install,
    "upgrade": _upgrade,
    "reboot": _reboot,
    "back": _back,
    "patch": _patch,
    "uncordon": _uncordon,
}
