"""Upgrading one node by the Talos API, both ways of it, and going back. Guards nothing: the caller does."""

from collections.abc import Callable, Sequence
from contextlib import aclosing

from controller.adapters.talos_node import MACHINE, NodeCalls
from controller.app.talos_port import LayerProgress, NodeImage, RebootMode, UpgradeReboot
from facts.talos.messages import enum_name, enum_number, message
from inventory.errors import CommandFailed, NodeError, Unreachable

_IMAGE, _LIFECYCLE = "/machine.ImageService", "/machine.LifecycleService"
_LAYER_STATUS = "machine.ImageServicePullLayerProgress.Status"
_PULL_SECONDS, _INSTALL_SECONDS = 1800, 900
_KEPT_LINES = 20  # of the installer, for the error message
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class UpgradeCalls(NodeCalls):
    async def upgrade(
        self,
        image: str,
        *,
        preserve: bool = False,
        stage: bool = False,
        force: bool = False,
        reboot_mode: UpgradeReboot = "DEFAULT",
    ) -> str:
        request = message("machine.UpgradeRequest")(
            image=image,
            preserve=preserve,
            stage=stage,
            force=force,
            reboot_mode=enum_number("machine.UpgradeRequest.RebootMode", reboot_mode),
        )
        # The node pulls and checks the image before it answers.
        actor: str = (await self._act("Upgrade", request, deadline=_PULL_SECONDS)).actor_id
        return actor

    async def image_pull(self, image: str, *, progress: Callable[[LayerProgress], None] | None = None) -> str:
        request = message("machine.ImageServicePullRequest")(containerd=_system_store(), image_ref=image)
        name = ""
        stream = self._calls.stream(f"{_IMAGE}/Pull", request, deadline=_PULL_SECONDS)
        async with aclosing(stream) as replies:
            async for reply in replies:
                if reply.WhichOneof("response") == "name":
                    name = reply.name
                elif progress is not None:
                    layer = reply.pull_progress
                    status = enum_name(_LAYER_STATUS, layer.progress.status)
                    progress(
                        LayerProgress(layer.layer_id, status, layer.progress.offset, layer.progress.total)
                    )
        if not name:
            raise NodeError(f"pulling {image} ended without a result", where=self._node, fix="pull it again")
        return name

    async def images(self) -> Sequence[NodeImage]:
        request = message("machine.ImageServiceListRequest")(containerd=_system_store())
        stream = self._calls.stream(f"{_IMAGE}/List", request, deadline=self._deadline)
        async with aclosing(stream) as replies:
            return [NodeImage(reply.name, reply.digest, reply.size) async for reply in replies]

    async def lifecycle_upgrade(self, image: str, *, said: Callable[[str], None] | None = None) -> None:
        request = message("machine.LifecycleServiceUpgradeRequest")(containerd=_system_store())
        request.source.image_name = image
        lines: list[str] = []
        status: int | None = None
        stream = self._calls.stream(f"{_LIFECYCLE}/Upgrade", request, deadline=_INSTALL_SECONDS)
        async with aclosing(stream) as replies:
            async for reply in replies:
                if reply.progress.WhichOneof("response") == "exit_code":
                    status = reply.progress.exit_code
                    continue
                lines = [*lines, reply.progress.message][-_KEPT_LINES:]
                if said is not None:
                    said(reply.progress.message)
        if status is None:
            raise Unreachable(
                "the installer's end was never reported", where=self._node, fix="look which slot would boot"
            )
        if status:
            raise CommandFailed(
                f"the installer ended with status {status}: {' / '.join(lines[-3:])}",
                where=self._node,
                fix="read its lines; the node still boots what it booted before",
            )

    async def rollback(self) -> None:
        await self._act("Rollback", message("machine.RollbackRequest")(), deadline=60)

    async def reboot(self, mode: RebootMode = "DEFAULT") -> None:
        number = enum_number("machine.RebootRequest.Mode", mode)
        await self._act("Reboot", message("machine.RebootRequest")(mode=number), deadline=30)

    async def boot_id(self) -> str:
        found = bytearray()
        request = message("machine.ReadRequest")(path=_BOOT_ID)
        stream = self._calls.stream(f"{MACHINE}/Read", request, deadline=self._deadline)
        async with aclosing(stream) as parts:
            async for part in parts:
                found += part.bytes[:64]
        return found.decode("ascii", errors="replace").strip()


def _system_store() -> object:
    """Where the installer looks for its image; both calls must name the same."""
    return message("common.ContainerdInstance")(
        driver=enum_number("common.ContainerDriver", "CONTAINERD"),
        namespace=enum_number("common.ContainerdNamespace", "NS_SYSTEM"),
    )
