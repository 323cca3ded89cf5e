"""Versions on one lab Talos: installing into the other slot, going back, and how a version may misbehave.

Both flows end in `install`. The legacy one drains and reboots by itself and checks etcd first; the one
from 1.13 on only installs. A machine's faults decide what a version does at boot.
"""

import asyncio
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from iso.lab.talos import bootloader
from iso.lab.talos.bootloader import STAGED_IMAGE, STAGED_OPTIONS, UPGRADE_FALLBACK
from iso.lab.talos.shared import Release

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_SCHEMATIC = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r"v1\.\d+\.\d+(-[\w.]+)?")
# Installer of 1.N → minors of the running Talos that its pre-flight check takes: from, and below.
_FROM: dict[int, tuple[int, int]] = {
    8: (5, 10), 9: (8, 11), 10: (8, 12), 11: (9, 13), 12: (10, 14), 13: (11, 15), 14: (12, 16),
}  # fmt: skip


class InstallError(Exception):
    """What the installer says when it fails."""


class Upgrades:
    def __init__(self, node: "TalosInstance") -> None:
        self._node = node
        self.busy = False  # one at a time
        self.images: set[str] = set()  # pulled into the system store, which does not survive a reboot
        self._locked = False  # this node holds the cluster's upgrade lock

    # At boot

    async def boot(self) -> None:
        """What this version does before it has its configuration. It may reboot or hang, and not return."""
        node, tag = self._node, self._node.release.tag
        slow = node.machine.faults.take("slow-boot", tag)
        if slow is not None:
            await node.shared.clock.sleep(float(slow.get("seconds", 5)))
        if node.machine.faults.take("boot-hang", tag) is not None:
            node.machine.log("talos-hang", version=tag)
            await asyncio.Event().wait()
        if node.machine.faults.take("boot-fails", tag) is not None and self._fall_back():
            node.later("rebooting")
            await asyncio.Event().wait()
        staged = node.meta.get(STAGED_IMAGE)
        if staged is not None:
            await self._install_staged(staged.decode())

    def _fall_back(self) -> bool:
        """The new version could not start machined: it puts the old slot back. False: there is none."""
        label = (self._node.meta.get(UPGRADE_FALLBACK) or b"").decode()
        slots = self._slots()
        if label not in slots.entries:
            return False
        bootloader.write(self._node.disk, slots.flipped(label))
        self._node.meta.drop(UPGRADE_FALLBACK)
        self._node.machine.log("talos-fallback", version=slots.entries[label].tag)
        return True

    async def _install_staged(self, image: str) -> None:
        node = self._node
        node.meta.drop(STAGED_IMAGE)
        node.meta.drop(STAGED_OPTIONS)
        node.stage = "upgrading"
        try:
            await self.install(image, lambda _: None)
        except InstallError as error:
            node.machine.log("talos-install-error", error=str(error))
        node.later("rebooting")
        await asyncio.Event().wait()

    def settled(self) -> None:
        """Running and ready: the way back by itself is closed."""
        if self._node.ready and self._node.meta.drop(UPGRADE_FALLBACK):
            self._node.machine.log("talos-committed", version=self._node.release.tag)

    # Installing

    def _slots(self) -> bootloader.Slots:
        return bootloader.read(self._node.disk, self._node.release)

    async def install(self, image: str, say: Callable[[str], None]) -> None:
        """The installer's work: pre-flight check, other slot, default, fallback tag. Raises InstallError."""
        node = self._node
        release = release_of(image)
        if release is None:
            raise InstallError(f"{image}: not an installer")
        say(f"running Talos installer {release.tag}")
        low, below = _FROM.get(release.minor, (release.minor - 2, release.minor + 2))
        if not low <= node.release.minor < below:
            raise InstallError(f"pre-flight checks failed: host version {node.release.tag} is not supported")
        await node.shared.clock.sleep(node.shared.timings.install)
        if node.machine.faults.take("install-fails", release.tag) is not None:
            raise InstallError("failed to install bootloader: no space left on device")
        slots = self._slots()
        node.meta.put(UPGRADE_FALLBACK, slots.default.encode())
        bootloader.write(node.disk, slots.installed(release))
        say("installation completed")
        node.machine.log("talos-installed", version=release.tag, slot=slots.other)

    async def pull(self, image: str) -> bool:
        """Is it there now?"""
        await self._node.shared.clock.sleep(self._node.shared.timings.layer)
        release = release_of(image)
        if release is None or self._node.machine.faults.take("pull-fails", release.tag) is not None:
            return False
        self.images.add(image)
        return True

    def rollback(self) -> bool:
        """False: the other slot is empty."""
        slots = self._slots()
        if slots.other not in slots.entries:
            return False
        bootloader.write(self._node.disk, slots.flipped(slots.other))
        self._node.meta.drop(UPGRADE_FALLBACK)
        return True

    # The legacy flow

    def stage(self, image: str, options: dict[str, Any]) -> None:
        self._node.meta.put(STAGED_IMAGE, image.encode())
        self._node.meta.put(STAGED_OPTIONS, json.dumps(options).encode())

    def lock(self) -> bool:
        """The cluster's lock, for control planes."""
        cluster, config = self._node.cluster, self._node.config
        if cluster is None or config is None or not config.control_plane:
            return True
        if cluster.upgrading:
            return False
        cluster.upgrading = self._locked = True
        return True

    def stop(self) -> None:
        if self._locked and self._node.cluster is not None:
            self._node.cluster.upgrading = self._locked = False

    async def run(self, image: str, actor: str, *, staged: bool) -> None:
        """Cordon, drain, stop, install, reboot; events tell of it under `actor`."""
        node = self._node
        node.sequence("stageUpgrade" if staged else "upgrade", "START", actor=actor)
        node.stage = "upgrading"
        node.phase("drain", actor=actor)
        node.kubelet.cordon()
        await node.shared.clock.sleep(node.shared.timings.drain)
        node.phase("stopServices", actor=actor)
        node.service("kubelet", "Finished/unknown")
        node.kubelet.stop()
        error = ""
        if not staged:
            node.phase("upgrade", actor=actor)
            try:
                await self.install(image, lambda line: node.say("machined", line))
            except InstallError as failed:
                error = str(failed)
                node.machine.log("talos-install-error", error=error)
        name = "stageUpgrade" if staged else "upgrade"
        node.sequence(name, "NOOP" if error else "STOP", actor=actor, error=error)
        node.later("rebooting", actor=actor)  # also after an error: its services are stopped


def release_of(image: str) -> Release | None:
    """What an installer image holds, by its tag."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    made_from = name.rpartition("/")[2]
    schematic = made_from if _SCHEMATIC.fullmatch(made_from) else ""
    return Release(tag, schematic) if name and _TAG.fullmatch(tag) else None
