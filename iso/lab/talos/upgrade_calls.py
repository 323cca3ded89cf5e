"""Upgrade (both ways), image store, rollback and META on one lab Talos."""

import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_number, message
from iso.lab.talos.replies import reply
from iso.lab.talos.upgrades import InstallError, release_of

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_LAYER = "machine.ImageServicePullLayerProgress.Status"
_LAYER_SIZE = 100 << 20
_MAX_KEY = 255


class UpgradeCalls:
    """One method for each call: request message in, response message out."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    async def upgrade(self, request: Any) -> Any:
        """The legacy call: checks, then works on after it has answered."""
        node, upgrades = self._node, self._node.upgrades
        if upgrades.busy:
            raise GRPCError(Status.FAILED_PRECONDITION, "another upgrade is in progress")
        if release_of(request.image) is None:
            raise GRPCError(Status.INVALID_ARGUMENT, f"error validating installer image {request.image!r}")
        if not await upgrades.pull(request.image):
            raise GRPCError(Status.UNKNOWN, f"error pulling installer image {request.image!r}")
        control_plane = node.config is not None and node.config.control_plane
        if control_plane and not request.force and not request.preserve:
            self._check_etcd()
        actor = str(uuid.uuid4())
        upgrades.busy = True
        if request.stage:
            upgrades.stage(request.image, {"force": request.force, "preserve": request.preserve})
        node.spawn(upgrades.run(request.image, actor, staged=request.stage))
        entry = message("machine.Upgrade")(ack="Upgrade request received", actor_id=actor)
        return reply("machine.UpgradeResponse", entry)

    def _check_etcd(self) -> None:
        cluster = self._node.cluster
        why = cluster.why_no_upgrade() if cluster is not None else "etcd is not running"
        if why:
            raise GRPCError(Status.UNKNOWN, f"error validating etcd for upgrade: {why}")
        if not self._node.upgrades.lock():
            raise GRPCError(Status.FAILED_PRECONDITION, "error acquiring upgrade lock: another node holds it")

    async def lifecycle_upgrade(self, request: Any) -> AsyncIterator[Any]:
        """Installs, and no more: no etcd check, no drain, no reboot."""
        node, upgrades, image = self._node, self._node.upgrades, request.source.image_name
        if node.maintenance:
            raise GRPCError(Status.FAILED_PRECONDITION, "Talos is not installed")
        if upgrades.busy:
            raise GRPCError(Status.FAILED_PRECONDITION, "another install or upgrade is in progress")
        if not _system_store(request) or image not in upgrades.images:
            raise GRPCError(Status.NOT_FOUND, f'image "{image}": not found')
        upgrades.busy = True
        lines: list[str] = []
        status = 0
        try:
            await upgrades.install(image, lines.append)
        except InstallError as error:
            lines.append(str(error))
            status = 1
        finally:
            upgrades.busy = False
        for line in lines:
            yield _progress(message=line)
        yield _progress(exit_code=status)

    async def pull(self, request: Any) -> AsyncIterator[Any]:
        if not _system_store(request):
            raise GRPCError(Status.INVALID_ARGUMENT, "the lab has the system's image store only")
        known = request.image_ref in self._node.upgrades.images
        layers = ("ALREADY_EXISTS",) if known else ("DOWNLOADING", "DOWNLOAD_COMPLETE", "EXTRACT_COMPLETE")
        for status in layers:
            if status == "DOWNLOAD_COMPLETE" and not await self._node.upgrades.pull(request.image_ref):
                raise GRPCError(Status.NOT_FOUND, f'failed to pull "{request.image_ref}": not found')
            yield _layer(status)
        yield message("machine.ImageServicePullResponse")(name=request.image_ref)

    async def images(self, _: Any) -> AsyncIterator[Any]:
        for name in sorted(self._node.upgrades.images):
            digest = uuid.uuid5(uuid.NAMESPACE_URL, name).hex * 2
            yield message("machine.ImageServiceListResponse")(
                name=name, digest=f"sha256:{digest}", size=_LAYER_SIZE
            )

    async def rollback(self, _: Any) -> Any:
        if not self._node.upgrades.rollback():
            raise GRPCError(Status.UNKNOWN, "previous boot entry not found")
        self._node.later("rebooting")
        return reply("machine.RollbackResponse", message("machine.Rollback")())

    async def meta_write(self, request: Any) -> Any:
        _check_key(request.key)
        if not self._node.meta.put(request.key, request.value):
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "meta write failed: no room")
        return reply("machine.MetaWriteResponse", message("machine.MetaWrite")())

    async def meta_delete(self, request: Any) -> Any:
        _check_key(request.key)
        if not self._node.meta.drop(request.key):
            raise GRPCError(Status.NOT_FOUND, f"meta key {request.key} not found")
        return reply("machine.MetaDeleteResponse", message("machine.MetaDelete")())


def _check_key(key: int) -> None:
    if key > _MAX_KEY:
        raise GRPCError(Status.INVALID_ARGUMENT, "key must be a uint8")


def _system_store(request: Any) -> bool:
    return bool(
        request.containerd.driver == enum_number("common.ContainerDriver", "CONTAINERD")
        and request.containerd.namespace == enum_number("common.ContainerdNamespace", "NS_SYSTEM")
    )


def _progress(**fields: Any) -> Any:
    progress = message("machine.LifecycleServiceInstallProgress")(**fields)
    return message("machine.LifecycleServiceUpgradeResponse")(progress=progress)


def _layer(status: str) -> Any:
    made = message("machine.ImageServicePullResponse")()
    made.pull_progress.layer_id = "sha256:lab"
    made.pull_progress.progress.status = enum_number(_LAYER, status)
    made.pull_progress.progress.offset = 0 if status == "DOWNLOADING" else _LAYER_SIZE
    made.pull_progress.progress.total = _LAYER_SIZE
    return made
