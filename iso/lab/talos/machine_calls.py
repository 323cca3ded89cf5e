"""The calls of MachineService that installing a cluster needs, on one lab Talos."""

import io
import tarfile
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_name, enum_number, message
from iso.lab.api import LabDisk
from iso.lab.talos import pki, storage
from iso.lab.talos.config import ConfigError, MachineConfig, diff, load
from iso.lab.talos.immediate import needs_reboot
from iso.lab.talos.replies import chunks, reply
from iso.lab.talos.state_calls import StateCalls

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_MODE = "machine.ApplyConfigurationRequest.Mode"


class MachineCalls:
    """One method for each call: request message in, response message out."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    async def version(self, _: Any) -> Any:
        entry = message("machine.Version")()
        entry.version.tag = self._node.release.tag
        entry.version.os, entry.version.arch = "linux", self._node.machine.arch
        entry.platform.name, entry.platform.mode = "metal", "metal"
        entry.features.rbac = True
        return reply("machine.VersionResponse", entry)

    async def hostname(self, _: Any) -> Any:
        return reply("machine.HostnameResponse", message("machine.Hostname")(hostname=self._node.hostname))

    async def apply_configuration(self, request: Any) -> Any:
        node = self._node
        mode = enum_name(_MODE, request.mode)
        if mode == "REBOOT" and node.release.minor >= 14 and not node.maintenance:
            raise GRPCError(Status.UNIMPLEMENTED, "apply mode REBOOT is not supported")
        try:
            config = load(request.data, minor=node.release.minor, disks=node.machine.disks.values())
        except ConfigError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from error
        if node.maintenance:
            if mode in {"NO_REBOOT", "STAGED"}:
                raise GRPCError(
                    Status.UNIMPLEMENTED, f"apply mode {mode} is not supported in maintenance mode"
                )
            # Up to 1.12 the answer names no mode, which reads as 0.
            mode = "NO_REBOOT" if node.release.minor >= 13 else "REBOOT"
        elif mode == "AUTO":
            reboot = node.config is not None and needs_reboot(node.config.main, config.main)
            mode = "REBOOT" if reboot and node.release.minor <= 13 else "NO_REBOOT"
        entry = message("machine.ApplyConfiguration")(mode=enum_number(_MODE, mode))
        entry.mode_details = self._details(mode, config, dry_run=request.dry_run)
        if not request.dry_run:
            self._apply(mode, config, request.try_mode_timeout.ToTimedelta().total_seconds() or 60)
        return reply("machine.ApplyConfigurationResponse", entry)

    def _details(self, mode: str, config: MachineConfig, *, dry_run: bool) -> str:
        how = "with a reboot" if mode == "REBOOT" else "without a reboot"
        text = "Staged configuration to be applied after the next reboot" if mode == "STAGED" else ""
        text = text or f"Applied configuration {how}"
        if not dry_run:
            return text
        old = self._node.config.text if self._node.config else b""
        return f"Dry run summary:\n{text} (skipped in dry-run).\nConfig diff:\n\n{diff(old, config.text)}"

    def _apply(self, mode: str, config: MachineConfig, try_seconds: float) -> None:
        node = self._node
        node.machine.log("talos-applied", mode=mode)
        if node.maintenance:
            node.deliver(config)
        elif mode == "TRY":
            node.adopt_for(config, try_seconds)
        else:
            node.source.persist(config)
            if mode == "NO_REBOOT":
                node.adopt(config)
            elif mode == "REBOOT":
                node.later("rebooting")

    async def kubeconfig(self, _: Any) -> AsyncIterator[Any]:
        node = self._node
        config, cluster = node.config, node.cluster
        if config is None or cluster is None or not config.control_plane:
            raise GRPCError(Status.UNIMPLEMENTED, "kubeconfig is only available on control plane nodes")
        if cluster.admin is None:
            cluster.admin = pki.issue(
                pki.Pair(*config.kube_ca),
                now=node.shared.clock.now(),
                common_name="admin",
                organizations=("system:masters",),
                client=True,
                days=365,
            )
        packed = _archive("kubeconfig", pki.kubeconfig(config, cluster.admin))
        for part in chunks(packed):
            yield part

    async def read(self, request: Any) -> AsyncIterator[Any]:
        content = StateCalls(self._node).file(request.path)
        if content is None:
            raise GRPCError(Status.UNKNOWN, f"lstat {request.path}: no such file or directory")
        yield message("common.Data")(bytes=content.encode())

    async def reset(self, request: Any) -> Any:
        node = self._node
        mode = enum_name("machine.ResetRequest.WipeMode", request.mode)
        user_disks = self._user_disks(request)
        if request.graceful:
            if node.etcd.last():
                raise GRPCError(Status.FAILED_PRECONDITION, "can't leave etcd: this is its last member")
            node.etcd.leave()
        node.kubelet.forget()
        wanted = {spec.label for spec in request.system_partitions_to_wipe if spec.wipe}
        if wanted:
            for volume in storage.volumes_of({node.disk.name: node.disk}):
                if volume.partition_label in wanted:
                    storage.wipe_volume(volume, zeroes=False, drop_partition=False)
        elif mode != "USER_DISKS":
            storage.wipe_system_disk(node.disk)
        if "EPHEMERAL" in wanted or (not wanted and mode != "USER_DISKS"):
            node.etcd.lose()
        for disk in user_disks if mode != "SYSTEM_DISK" else ():
            storage.wipe_system_disk(disk)
        actor = str(uuid.uuid4())
        node.later("resetting", off=not request.reboot, actor=actor)
        return reply("machine.ResetResponse", message("machine.Reset")(actor_id=actor))

    def _user_disks(self, request: Any) -> list[LabDisk]:
        found = []
        for path in request.user_disks_to_wipe:
            disk = self._node.machine.disks.get(path.removeprefix("/dev/"))
            if disk is None or disk is self._node.disk:
                raise GRPCError(Status.INVALID_ARGUMENT, f"{path} is no user disk of this machine")
            found.append(disk)
        return found

    async def reboot(self, _: Any) -> Any:
        actor = str(uuid.uuid4())
        self._node.later("rebooting", actor=actor)
        return reply("machine.RebootResponse", message("machine.Reboot")(actor_id=actor))

    async def shutdown(self, _: Any) -> Any:
        actor = str(uuid.uuid4())
        self._node.later("shutting-down", off=True, actor=actor)
        return reply("machine.ShutdownResponse", message("machine.Shutdown")(actor_id=actor))


def _archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
