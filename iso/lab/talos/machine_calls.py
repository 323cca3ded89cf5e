"""The calls of MachineService that installing a cluster needs, on one lab Talos."""

import io
import tarfile
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_name, enum_number, message
from iso.lab.talos import pki, storage
from iso.lab.talos.config import ConfigError, MachineConfig, diff, load, needs_reboot

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_MODE = "machine.ApplyConfigurationRequest.Mode"
_CHUNK = 32 << 10


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
        return _reply("machine.VersionResponse", entry)

    async def hostname(self, _: Any) -> Any:
        return _reply("machine.HostnameResponse", message("machine.Hostname")(hostname=self._node.hostname))

    async def service_list(self, _: Any) -> Any:
        entry = message("machine.ServiceList")()
        for name, text in sorted(self._node.services.items()):
            state, _, health = text.partition("/")
            service = entry.services.add(id=name, state=state)
            service.health.unknown = health == "unknown"
            service.health.healthy = health == "healthy"
        return _reply("machine.ServiceListResponse", entry)

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
            mode = "NO_REBOOT"
        elif mode == "AUTO":
            reboot = node.config is not None and needs_reboot(node.config, config)
            mode = "REBOOT" if reboot and node.release.minor <= 13 else "NO_REBOOT"
        entry = message("machine.ApplyConfiguration")(mode=enum_number(_MODE, mode))
        entry.mode_details = self._details(mode, config, dry_run=request.dry_run)
        if not request.dry_run:
            self._apply(mode, config, request.try_mode_timeout.ToTimedelta().total_seconds() or 60)
        return _reply("machine.ApplyConfigurationResponse", entry)

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

    async def bootstrap(self, _: Any) -> Any:
        node = self._node
        if node.config is None or not node.config.control_plane:
            raise GRPCError(Status.UNIMPLEMENTED, "bootstrap is only available on control plane nodes")
        if node.cluster is not None and node.cluster.bootstrapped:
            raise GRPCError(Status.ALREADY_EXISTS, "etcd data directory is not empty")
        if not node.services.get("etcd", "").startswith("Preparing"):
            raise GRPCError(Status.FAILED_PRECONDITION, "bootstrap is not available yet")
        if not node.time_in_sync():
            raise GRPCError(Status.FAILED_PRECONDITION, "time is not in sync yet")
        node.start_etcd()
        return _reply("machine.BootstrapResponse", message("machine.Bootstrap")())

    async def etcd_member_list(self, _: Any) -> Any:
        entry = message("machine.EtcdMembers")()
        cluster = self._etcd()
        for member in cluster.members.values():
            entry.members.add(
                id=member.id,
                hostname=member.hostname,
                peer_urls=[f"https://{member.address}:2380"],
                client_urls=[f"https://{member.address}:2379"],
                is_learner=member.learner,
            )
        return _reply("machine.EtcdMemberListResponse", entry)

    async def etcd_status(self, _: Any) -> Any:
        cluster, member = self._etcd(), self._node.member
        entry = message("machine.EtcdStatus")()
        status = entry.member_status
        status.member_id = member.id if member else 0
        status.is_learner = member.learner if member else False
        status.leader, status.raft_term = cluster.leader, 2
        status.raft_index = status.raft_applied_index = cluster.revision
        status.protocol_version, status.storage_version = "3.6.4", "3.6.0"
        return _reply("machine.EtcdStatusResponse", entry)

    def _etcd(self) -> Any:
        node = self._node
        if node.config is None or not node.config.control_plane:
            raise GRPCError(Status.UNIMPLEMENTED, "etcd is only available on control plane nodes")
        if node.cluster is None or node.member is None or not node.member.running:
            raise GRPCError(Status.UNAVAILABLE, "etcd is not running")
        return node.cluster

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
        for at in range(0, len(packed), _CHUNK):
            yield message("common.Data")(bytes=packed[at : at + _CHUNK])

    async def read(self, request: Any) -> AsyncIterator[Any]:
        if request.path != "/proc/sys/kernel/random/boot_id":
            raise GRPCError(Status.UNKNOWN, f"lstat {request.path}: no such file or directory")
        yield message("common.Data")(bytes=f"{self._node.boot_id}\n".encode())

    async def reset(self, request: Any) -> Any:
        node = self._node
        if request.graceful:
            if node.cluster is not None and node.cluster.members.keys() == {
                node.member.id if node.member else 0
            }:
                raise GRPCError(Status.FAILED_PRECONDITION, "can't leave etcd: this is its last member")
            node.leave_etcd()
        node.forget_node()
        wanted = {spec.label for spec in request.system_partitions_to_wipe if spec.wipe}
        if wanted:
            for volume in storage.volumes_of({node.disk.name: node.disk}):
                if volume.partition_label in wanted:
                    storage.wipe_volume(volume, zeroes=False, drop_partition=False)
        elif enum_name("machine.ResetRequest.WipeMode", request.mode) != "USER_DISKS":
            storage.wipe_system_disk(node.disk)
        node.later("resetting", off=not request.reboot)
        return _reply("machine.ResetResponse", message("machine.Reset")(actor_id=node.boot_id))

    async def reboot(self, _: Any) -> Any:
        self._node.later("rebooting")
        return _reply("machine.RebootResponse", message("machine.Reboot")(actor_id=self._node.boot_id))

    async def shutdown(self, _: Any) -> Any:
        self._node.later("shutting-down", off=True)
        return _reply("machine.ShutdownResponse", message("machine.Shutdown")(actor_id=self._node.boot_id))


def _reply(name: str, entry: Any) -> Any:
    return message(name)(messages=[entry])


def _archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
