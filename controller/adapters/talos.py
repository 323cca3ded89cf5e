"""The Talos API of one node (`app.ports.TalosApi`): mutual TLS, or a pinned key in maintenance mode.

Every call has a deadline. What an answer means for a node's life is not decided here.
"""

import asyncio
import io
import tarfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

from controller.adapters.talos_etcd import EtcdCalls
from controller.adapters.talos_hardware import HardwareCalls
from controller.adapters.talos_node import MACHINE, empty
from controller.adapters.talos_state import StateCalls
from controller.adapters.talos_upgrade import UpgradeCalls
from controller.adapters.talos_watch import WatchCalls
from controller.app.ports import Applied, Identity, MachineStatus, TalosNode, TalosVersion
from controller.app.talos_port import ResetMode
from facts.talos.messages import enum_name, enum_number, message
from facts.talos.resources import MACHINE_STATUS, machine_stage
from inventory.errors import NodeError, RefusedError

if TYPE_CHECKING:
    from grpclib.client import Channel

_APPLY_MODE = "machine.ApplyConfigurationRequest.Mode"
_MAX_KUBECONFIG = 1 << 20
_RESTORE_SECONDS = 900  # of a large snapshot, which Talos does before it answers


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

        from controller.adapters.tls import client_context

        context = client_context(identity.ca, identity.crt, identity.key, alpn=("h2",))
        # The certificate must carry the node's own address, also when a tunnel leads to it.
        config = Configuration(ssl_target_name_override=server_name)
        channel = Channel(host, port, ssl=context, config=config)
        async with self._opened(channel, server_name) as node:
            yield node

    @asynccontextmanager
    async def connect_maintenance(
        self, host: str, port: int, *, fingerprint: str = "", trusted_segment: bool = False
    ) -> AsyncIterator[TalosNode]:
        if not fingerprint and not trusted_segment:
            raise RefusedError(
                "a node in maintenance mode is not contacted without knowing its key",
                where=f"{host}:{port}",
                fix="give the fingerprint from its console, or declare the network segment as trusted",
            )
        from controller.adapters.talos_pin import PinnedChannel

        async with self._opened(PinnedChannel(host, port, pin=fingerprint), host) as node:
            yield node

    async def maintenance_key(self, host: str, port: int) -> str:
        from controller.adapters.talos_pin import shown_fingerprint

        return await shown_fingerprint(host, port, self._connect_deadline)

    @asynccontextmanager
    async def _opened(self, channel: "Channel", name: str) -> AsyncIterator[TalosNode]:
        from controller.adapters.talos_calls import Calls, translated

        try:
            with translated(name, "connect", self._connect_deadline):
                async with asyncio.timeout(self._connect_deadline):
                    await channel.__connect__()
            yield GrpcTalosNode(Calls(channel, name), name, self._deadline)
        finally:
            channel.close()


class GrpcTalosNode(EtcdCalls, UpgradeCalls, WatchCalls, HardwareCalls, StateCalls):
    async def version(self) -> TalosVersion:
        entry = await self._read("Version")
        return TalosVersion(entry.version.tag, entry.version.arch, entry.platform.name)

    async def machine_status(self) -> MachineStatus:
        spec = await self.resource(MACHINE_STATUS, "runtime", "machine")
        status = spec["status"]
        unmet = tuple(f"{one['name']}: {one['reason']}" for one in status["unmet_conditions"])
        return MachineStatus(machine_stage(spec["stage"]), bool(status["ready"]), unmet)

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
        entry = await self._act("ApplyConfiguration", request, deadline=60)
        return Applied(enum_name(_APPLY_MODE, entry.mode), entry.mode_details, tuple(entry.warnings))

    async def bootstrap(self, *, recover: bool = False) -> bool:
        from controller.adapters.talos_calls import AlreadyDone

        try:
            request = message("machine.BootstrapRequest")(recover_etcd=recover)
            await self._act("Bootstrap", request, deadline=_RESTORE_SECONDS if recover else 30)
        except AlreadyDone:
            return False
        return True

    async def kubeconfig(self) -> bytes:
        packed = bytearray()
        async for part in self._calls.stream(f"{MACHINE}/Kubeconfig", empty(), deadline=30):
            packed += part.bytes
            if len(packed) > _MAX_KUBECONFIG:
                raise _too_big(self._node)
        return _unpack_kubeconfig(bytes(packed), self._node)

    async def reset(
        self,
        *,
        graceful: bool,
        reboot: bool,
        mode: ResetMode = "SYSTEM_DISK",
        partitions: Sequence[str] = (),
        user_disks: Sequence[str] = (),
    ) -> None:
        request = message("machine.ResetRequest")(
            graceful=graceful,
            reboot=reboot,
            mode=enum_number("machine.ResetRequest.WipeMode", mode),
            user_disks_to_wipe=user_disks,
        )
        for label in partitions:
            request.system_partitions_to_wipe.add(label=label, wipe=True)
        await self._act("Reset", request, deadline=60)


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
