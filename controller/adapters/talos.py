"""The Talos API of one node (`app.ports.TalosApi`): mutual TLS, typed answers, no retries.

Every call has a deadline. What an answer means for a node's life is not decided here.
"""

import asyncio
import io
import tarfile
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from controller.app.ports import Applied, EtcdMember, Identity, MachineStatus, TalosNode, TalosVersion, Volume
from facts.talos.messages import enum_name, enum_number, message
from facts.talos.resources import DISCOVERED_VOLUMES, MACHINE_STATUS, machine_stage, spec_of
from inventory.errors import NodeError

if TYPE_CHECKING:
    from controller.adapters.talos_calls import Calls

_MACHINE = "/machine.MachineService"
_APPLY_MODE = "machine.ApplyConfigurationRequest.Mode"
_MAX_KUBECONFIG = 1 << 20
_MAX_ROWS = 10_000


class GrpcTalosApi:
    """`deadline` (seconds) is for reads; calls that make the node work have their own, longer ones."""

    def __init__(self, *, deadline: float = 10, connect_deadline: float = 5) -> None:
        self._deadline = deadline
        self._connect_deadline = connect_deadline

    @asynccontextmanager
    async def connect(
        self, host: str, port: int, identity: Identity, *, server_name: str
    ) -> AsyncIterator[TalosNode]:
        # Imported here: the CLI's start-up must not pay for gRPC and TLS.
        from grpclib.client import Channel
        from grpclib.config import Configuration

        from controller.adapters.talos_calls import Calls, translated
        from controller.adapters.tls import client_context

        context = client_context(identity.ca, identity.crt, identity.key, alpn=("h2",))
        # The certificate must carry the node's own address, also when a tunnel leads to it.
        config = Configuration(ssl_target_name_override=server_name)
        channel = Channel(host, port, ssl=context, config=config)
        try:
            with translated(server_name, "connect", self._connect_deadline):
                async with asyncio.timeout(self._connect_deadline):
                    await channel.__connect__()
            yield GrpcTalosNode(Calls(channel, server_name), server_name, self._deadline)
        finally:
            channel.close()


class GrpcTalosNode:
    def __init__(self, calls: "Calls", node: str, deadline: float) -> None:
        self._calls = calls
        self._node = node
        self._deadline = deadline

    async def version(self) -> TalosVersion:
        entry = self._entry(await self._machine("Version", _empty()))
        return TalosVersion(entry.version.tag, entry.version.arch, entry.platform.name)

    async def machine_status(self) -> MachineStatus:
        spec = await self.resource(MACHINE_STATUS, "runtime", "machine")
        status = spec["status"]
        unmet = tuple(f"{one['name']}: {one['reason']}" for one in status["unmet_conditions"])
        return MachineStatus(machine_stage(spec["stage"]), bool(status["ready"]), unmet)

    async def services(self) -> Mapping[str, str]:
        entry = self._entry(await self._machine("ServiceList", _empty()))
        return {service.id: f"{service.state}/{_health(service.health)}" for service in entry.services}

    async def apply_configuration(
        self,
        document: bytes,
        *,
        mode: Literal["AUTO", "NO_REBOOT", "STAGED", "TRY"] = "AUTO",
        dry_run: bool = False,
    ) -> Applied:
        # The mode is always sent: 0 would be REBOOT, which newer nodes refuse.
        request = message("machine.ApplyConfigurationRequest")(
            data=document, mode=enum_number(_APPLY_MODE, mode), dry_run=dry_run
        )
        entry = self._entry(await self._machine("ApplyConfiguration", request, deadline=60))
        return Applied(enum_name(_APPLY_MODE, entry.mode), entry.mode_details, tuple(entry.warnings))

    async def bootstrap(self) -> bool:
        from controller.adapters.talos_calls import AlreadyDone

        try:
            await self._machine("Bootstrap", message("machine.BootstrapRequest")(), deadline=30)
        except AlreadyDone:
            return False
        return True

    async def etcd_members(self) -> Sequence[EtcdMember]:
        reply = await self._machine("EtcdMemberList", message("machine.EtcdMemberListRequest")())
        return tuple(
            EtcdMember(member.id, member.hostname, tuple(member.peer_urls), member.is_learner)
            for member in self._entry(reply).members
        )

    async def kubeconfig(self) -> bytes:
        packed = bytearray()
        async for part in self._calls.stream(f"{_MACHINE}/Kubeconfig", _empty(), deadline=30):
            packed += part.bytes
            if len(packed) > _MAX_KUBECONFIG:
                raise NodeError(
                    "its kubeconfig is too big", where=self._node, fix="look at the node; not normal"
                )
        return _unpack_kubeconfig(bytes(packed), self._node)

    async def volumes(self) -> Sequence[Volume]:
        # A resource's id is the device name ("sda5"); the spec's own `name` is the file system's kind.
        found = []
        async for id_, spec in self._list(DISCOVERED_VOLUMES, "runtime"):
            found.append(
                Volume(
                    id_,
                    spec["label"],
                    spec["partition_label"],
                    spec["partition_uuid"],
                    spec["dev_path"],
                    spec["parent_dev_path"],
                )
            )
        return tuple(found)

    async def wipe(self, device: str, *, drop_partition: bool) -> None:
        descriptor = message("storage.BlockDeviceWipeDescriptor")(
            device=device.removeprefix("/dev/"),
            # FAST clears both ends of the device only; secrets lie in between.
            method=enum_number("storage.BlockDeviceWipeDescriptor.Method", "ZEROES"),
            drop_partition=drop_partition,
        )
        request = message("storage.BlockDeviceWipeRequest")(devices=[descriptor])
        await self._calls.unary("/storage.StorageService/BlockDeviceWipe", request, deadline=300)

    async def reset(self, *, graceful: bool, reboot: bool) -> None:
        mode = enum_number("machine.ResetRequest.WipeMode", "SYSTEM_DISK")
        request = message("machine.ResetRequest")(graceful=graceful, reboot=reboot, mode=mode)
        await self._machine("Reset", request, deadline=60)

    async def reboot(self) -> None:
        await self._machine("Reboot", message("machine.RebootRequest")(), deadline=30)

    async def resource(self, type_: str, namespace: str, id_: str) -> Mapping[str, Any]:
        request = message("cosi.resource.GetRequest")(namespace=namespace, type=type_, id=id_)
        reply = await self._calls.unary("/cosi.resource.State/Get", request, deadline=self._deadline)
        return spec_of(type_, reply.resource.spec.proto_spec, reply.resource.spec.yaml_spec)

    async def _list(self, type_: str, namespace: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        request = message("cosi.resource.ListRequest")(namespace=namespace, type=type_)
        stream = self._calls.stream("/cosi.resource.State/List", request, deadline=self._deadline)
        rows = 0
        async with aclosing(stream) as replies:
            async for reply in replies:
                rows += 1
                if rows > _MAX_ROWS:
                    raise NodeError(
                        f"more than {_MAX_ROWS} {type_}", where=self._node, fix="look at the node"
                    )
                spec = reply.resource.spec
                yield reply.resource.metadata.id, spec_of(type_, spec.proto_spec, spec.yaml_spec)

    async def _machine(self, name: str, request: Any, *, deadline: float = 0) -> Any:
        return await self._calls.unary(f"{_MACHINE}/{name}", request, deadline=deadline or self._deadline)

    def _entry(self, reply: Any) -> Any:
        if len(reply.messages) != 1:
            raise NodeError(
                f"{len(reply.messages)} answers instead of one",
                where=self._node,
                fix="check that Talos answers there",
            )
        return reply.messages[0]


def _empty() -> Any:
    return message("google.protobuf.Empty")()


def _health(health: Any) -> str:
    if health.unknown:
        return "unknown"
    return "healthy" if health.healthy else "unhealthy"


def _unpack_kubeconfig(packed: bytes, node: str) -> bytes:
    """The one file of the archive, read member by member: nothing is extracted, the size is bounded."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_inflated(packed, node)), mode="r:") as archive:
            for member in archive:
                if member.isreg() and member.name.removeprefix("./") == "kubeconfig":
                    content = archive.extractfile(member)
                    if content is not None:
                        return content.read(_MAX_KUBECONFIG)
    except (tarfile.TarError, zlib.error) as error:
        raise NodeError("its kubeconfig archive can't be read", where=node, fix="try again") from error
    raise NodeError(
        "its kubeconfig archive holds no kubeconfig", where=node, fix="try again; then look at the node"
    )


def _inflated(packed: bytes, node: str) -> bytes:
    """Bounded, so that a gzip bomb does not reach the tar reader."""
    inflate = zlib.decompressobj(wbits=31)
    plain = inflate.decompress(packed, _MAX_KUBECONFIG + 1)
    if len(plain) > _MAX_KUBECONFIG:
        raise _too_big(node)
    if not inflate.eof:  # cut short: its checksum never came
        raise NodeError("its kubeconfig archive can't be read to its end", where=node, fix="try again")
    return plain


def _too_big(node: str) -> NodeError:
    return NodeError("its kubeconfig is too big", where=node, fix="look at the node; this is not normal")
