"""The gRPC surface of one lab Talos: TLS, who may call what, and the calls.

Offers what installing a cluster needs. Calls of the Talos API that are missing here answer Unimplemented, and
so does proxying to other nodes (`node`/`nodes` metadata).
"""

import io
import ssl
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import yaml
from grpclib.const import Cardinality, Handler, Status
from grpclib.events import RecvRequest, listen
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from facts.talos.messages import enum_name, enum_number, message, method
from iso.lab.talos import pki, storage
from iso.lab.talos.config import ConfigError, MachineConfig, diff, load, needs_reboot
from iso.lab.talos.resources import rows

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_MODE = "machine.ApplyConfigurationRequest.Mode"
_SERVICE = "/machine.MachineService/"
_STORAGE = "/storage.StorageService/"
_COSI = "/cosi.resource.State/"
_ADMIN = {
    *(f"{_SERVICE}{name}" for name in ("ApplyConfiguration", "Bootstrap", "Kubeconfig", "Read", "Reset")),
    f"{_STORAGE}BlockDeviceWipe",
}
_OPERATOR = {f"{_SERVICE}Reboot", f"{_SERVICE}Shutdown"}
# Maintenance mode, 1.13: what a reader may call, and these two.
_MAINTENANCE = {f"{_SERVICE}ApplyConfiguration", f"{_STORAGE}BlockDeviceWipe"}
_CHUNK = 32 << 10

Unary = Callable[[Any], Awaitable[Any]]
Streamed = Callable[[Any], AsyncIterator[Any]]


class ApiServer:
    def __init__(self, instance: "TalosInstance", *, maintenance: bool) -> None:
        self._instance = instance
        self._maintenance = maintenance
        self._server: Server | None = None

    async def start(self, context: ssl.SSLContext) -> "ApiServer":
        self._server = Server([Calls(self._instance)])
        listen(self._server, RecvRequest, self._authorize)
        machine = self._instance.machine
        await self._server.start(machine.address, machine.talos_port, ssl=context)
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _authorize(self, event: RecvRequest) -> None:
        path = event.method_name
        if self._maintenance:
            if path in (_ADMIN | _OPERATOR) - _MAINTENANCE:
                raise GRPCError(Status.PERMISSION_DENIED, "not authorized")
            return
        if "node" in event.metadata or "nodes" in event.metadata:
            raise GRPCError(Status.UNIMPLEMENTED, "the lab's nodes do not proxy; ask the node itself")
        tls = event.peer._transport.get_extra_info("ssl_object")  # noqa: SLF001 - grpclib hides the DER form
        if not pki.only_client_auth(tls.getpeercert(binary_form=True) or b""):
            raise GRPCError(
                Status.PERMISSION_DENIED, "bad certificate: extended key usage must be clientAuth"
            )
        roles = pki.organizations(event.peer.cert())
        if not roles & _allowed(path):
            raise GRPCError(Status.PERMISSION_DENIED, "not authorized")


def _allowed(path: str) -> set[str]:
    if path in _ADMIN:
        return {"os:admin"}
    if path in _OPERATOR:
        return {"os:admin", "os:operator"}
    return {"os:admin", "os:operator", "os:reader"}


class Calls:
    """Each call as one method; `__mapping__` is what grpclib asks for."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    def __mapping__(self) -> Mapping[str, Handler]:
        unary: dict[str, Unary] = {
            f"{_SERVICE}Version": self.version,
            f"{_SERVICE}Hostname": self.hostname,
            f"{_SERVICE}ServiceList": self.service_list,
            f"{_SERVICE}ApplyConfiguration": self.apply_configuration,
            f"{_SERVICE}Bootstrap": self.bootstrap,
            f"{_SERVICE}EtcdMemberList": self.etcd_member_list,
            f"{_SERVICE}EtcdStatus": self.etcd_status,
            f"{_SERVICE}Reset": self.reset,
            f"{_SERVICE}Reboot": self.reboot,
            f"{_SERVICE}Shutdown": self.shutdown,
            f"{_STORAGE}Disks": self.disks,
            f"{_STORAGE}BlockDeviceWipe": self.block_device_wipe,
            f"{_COSI}Get": self.get,
        }
        streamed: dict[str, Streamed] = {
            f"{_SERVICE}Kubeconfig": self.kubeconfig,
            f"{_SERVICE}Read": self.read,
            f"{_COSI}List": self.list,
        }
        table = {path: self._handler(path, _one(call)) for path, call in unary.items()}
        return table | {path: self._handler(path, _many(call)) for path, call in streamed.items()}

    def _handler(self, path: str, serve: Callable[[Any], Awaitable[Any]]) -> Handler:
        wire = method(path)
        kind = Cardinality.UNARY_STREAM if wire.streams_response else Cardinality.UNARY_UNARY

        async def logged(stream: Any) -> None:
            status = Status.OK
            try:
                await serve(stream)
            except GRPCError as error:
                status = error.status
                raise
            finally:
                self._node.machine.log("talos", call=path.rpartition("/")[2], status=status.name)

        return Handler(logged, kind, message(wire.request), message(wire.response))

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
            self._apply(mode, config)
        return _reply("machine.ApplyConfigurationResponse", entry)

    def _details(self, mode: str, config: MachineConfig, *, dry_run: bool) -> str:
        how = "with a reboot" if mode == "REBOOT" else "without a reboot"
        text = "Staged configuration to be applied after the next reboot" if mode == "STAGED" else ""
        text = text or f"Applied configuration {how}"
        if not dry_run:
            return text
        old = self._node.config.text if self._node.config else b""
        return f"Dry run summary:\n{text} (skipped in dry-run).\nConfig diff:\n\n{diff(old, config.text)}"

    def _apply(self, mode: str, config: MachineConfig) -> None:
        node = self._node
        if node.maintenance:
            node.deliver(config)
            return
        if mode != "TRY":
            node.persist(config)
        if mode in {"NO_REBOOT", "TRY"}:
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

    async def disks(self, _: Any) -> Any:
        entry = message("storage.Disks")()
        for disk in self._node.machine.disks.values():
            kind = "NVME" if disk.transport == "nvme" else "HDD" if disk.rotational else "SSD"
            entry.disks.add(
                device_name=f"/dev/{disk.name}",
                size=disk.size,
                model=disk.model,
                serial=disk.serial,
                wwid=disk.wwid,
                type=enum_number("storage.Disk.DiskType", kind),
                system_disk=disk is self._node.disk and not self._node.maintenance,
            )
        return _reply("storage.DisksResponse", entry)

    async def block_device_wipe(self, request: Any) -> Any:
        node = self._node
        known = {volume.id: volume for volume in storage.volumes_of(node.machine.disks)}
        for one in request.devices:
            self._check_wipe(known, one)
        for one in request.devices:
            zeroes = enum_name("storage.BlockDeviceWipeDescriptor.Method", one.method) == "ZEROES"
            storage.wipe_volume(known[one.device], zeroes=zeroes, drop_partition=one.drop_partition)
            node.machine.log("talos-wiped", device=one.device, zeroes=zeroes, dropped=one.drop_partition)
        return _reply("storage.BlockDeviceWipeResponse", message("storage.BlockDeviceWipe")())

    def _check_wipe(self, known: Mapping[str, storage.VolumeInfo], one: Any) -> None:
        node, volume = self._node, known.get(one.device)
        if volume is None:
            raise GRPCError(Status.NOT_FOUND, f'blockdevice "{one.device}" not found')
        if one.drop_partition and not volume.index:
            raise GRPCError(Status.INVALID_ARGUMENT, f'blockdevice "{one.device}" is not a partition')
        if node.maintenance or one.skip_volume_check:
            return
        names = (volume.partition_label,) if volume.index else ("STATE",)
        in_use = volume.disk is node.disk and any(name in {"STATE", "EPHEMERAL", "META"} for name in names)
        if in_use or one.device == node.claimed:
            raise GRPCError(Status.FAILED_PRECONDITION, f'blockdevice "{one.device}" is in use by a volume')

    async def get(self, request: Any) -> Any:
        for id_, spec in rows(self._node, request.type, request.namespace):
            if id_ == request.id:
                reply = message("cosi.resource.GetResponse")()
                _fill(reply.resource, request, id_, spec)
                return reply
        raise GRPCError(
            Status.NOT_FOUND, f"resource {request.type}({request.namespace}/{request.id}) doesn't exist"
        )

    async def list(self, request: Any) -> AsyncIterator[Any]:
        for id_, spec in rows(self._node, request.type, request.namespace):
            reply = message("cosi.resource.ListResponse")()
            _fill(reply.resource, request, id_, spec)
            yield reply


def _fill(resource: Any, request: Any, id_: str, spec: Any) -> None:
    resource.metadata.namespace, resource.metadata.type = request.namespace, request.type
    resource.metadata.id, resource.metadata.version, resource.metadata.phase = id_, "1", "running"
    resource.spec.proto_spec = spec.SerializeToString()
    plain = {
        field.name.replace("_", ""): value for field, value in spec.ListFields() if not field.message_type
    }
    resource.spec.yaml_spec = yaml.safe_dump({key: _plain(value) for key, value in plain.items()})


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | str) else [str(item) for item in value]


def _reply(name: str, entry: Any) -> Any:
    return message(name)(messages=[entry])


def _archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _one(call: Unary) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        await stream.send_message(await call(await stream.recv_message()))

    return serve


def _many(call: Streamed) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        async for reply in call(await stream.recv_message()):
            await stream.send_message(reply)

    return serve
