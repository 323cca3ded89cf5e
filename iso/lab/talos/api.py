"""The gRPC server of one lab Talos: TLS, authorization, and the routing of calls.

What the calls do is in the modules named `…_calls`, who may call them in `permissions`. Calls of the Talos
API that the lab lacks answer Unimplemented, and so does proxying to other nodes (`node`/`nodes` metadata).
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.events import RecvRequest, listen
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from facts.talos.messages import message, method, wire
from iso.lab.talos import permissions, pki
from iso.lab.talos.etcd_calls import EtcdCalls
from iso.lab.talos.machine_calls import MachineCalls
from iso.lab.talos.permissions import COSI, IMAGE, LIFECYCLE, MACHINE, STORAGE
from iso.lab.talos.resources import SENSITIVE
from iso.lab.talos.state_calls import StateCalls
from iso.lab.talos.storage_calls import StorageCalls
from iso.lab.talos.upgrade_calls import UpgradeCalls
from iso.lab.talos.watch_calls import WatchCalls

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

# (streams requests, streams responses) → grpclib's word for it
_CARDINALITY = {(one.client_streaming, one.server_streaming): one for one in Cardinality}

Unary = Callable[[Any], Awaitable[Any]]
Streamed = Callable[[Any], AsyncIterator[Any]]


class _Server(Server):
    """grpclib's server, which can also end the connections that are open: a machine that goes down does."""

    def __init__(self, *services: Any) -> None:
        super().__init__(services)
        self._protocols: set[Any] = set()

    def _protocol_factory(self) -> Any:
        self._protocols = {one for one in self._protocols if not one.handler.closing}
        protocol = super()._protocol_factory()
        self._protocols.add(protocol)
        return protocol

    def cut(self) -> None:
        for protocol in self._protocols:
            # grpclib keeps no list, and forgets the transport of a connection that is closed.
            transport = getattr(getattr(protocol, "connection", None), "_transport", None)
            if transport is not None:
                transport.abort()


class ApiServer:
    def __init__(self, instance: "TalosInstance", *, maintenance: bool) -> None:
        self._instance = instance
        self._maintenance = maintenance
        self._server: _Server | None = None

    async def start(self, context: ssl.SSLContext) -> None:
        server = _Server(_Routes(self._instance))
        listen(server, RecvRequest, self._authorize)
        machine = self._instance.machine
        await server.start(machine.address, machine.talos_port, ssl=context)
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            self._server.cut()
            self._server.close()
            await self._server.wait_closed()

    async def _authorize(self, event: RecvRequest) -> None:
        path, minor = event.method_name, self._instance.release.minor
        refused = permissions.missing(path, minor)
        if refused is None and self._maintenance:
            refused = permissions.maintenance(path, minor)
        if refused is not None:
            raise GRPCError(*refused)
        if self._maintenance:
            return
        if "node" in event.metadata or "nodes" in event.metadata:
            raise GRPCError(Status.UNIMPLEMENTED, "the lab's nodes do not proxy; ask the node itself")
        tls = event.peer._transport.get_extra_info("ssl_object")  # noqa: SLF001 - grpclib hides the DER form
        if not pki.only_client_auth(tls.getpeercert(binary_form=True) or b""):
            raise GRPCError(
                Status.PERMISSION_DENIED, "bad certificate: extended key usage must be clientAuth"
            )
        if not pki.organizations(event.peer.cert()) & permissions.roles(path):
            raise GRPCError(Status.PERMISSION_DENIED, "not authorized")


class _Routes:
    """`__mapping__` is what grpclib asks a service for."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    def __mapping__(self) -> Mapping[str, Handler]:
        unary, streamed = _calls(self._node)
        table = {path: self._handler(path, _one(call)) for path, call in unary.items()}
        table |= {path: self._handler(path, _many(call)) for path, call in streamed.items()}
        recover = EtcdCalls(self._node).recover  # the only one that takes a stream
        table[f"{MACHINE}EtcdRecover"] = self._handler(f"{MACHINE}EtcdRecover", _fed(recover))
        # grpclib answers an unknown method without a content type, which clients don't read as Unimplemented.
        every = (one.path for methods in wire().services.values() for one in methods)
        return {path: self._handler(path, _missing) for path in every} | table

    def _handler(self, path: str, serve: Callable[[Any], Awaitable[Any]]) -> Handler:
        found = method(path)
        kind = _CARDINALITY[found.streams_request, found.streams_response]

        call, machine = path.rpartition("/")[2], self._node.machine

        async def served(stream: Any) -> None:
            await self._slow(call)
            drop = machine.faults.take("drop", call)
            if drop is not None and not drop.get("late"):
                _cut(stream)
                return
            status = Status.OK
            try:
                # A connection cut late: the call was done, its answer never arrives.
                await serve(stream if drop is None else _Unanswered(stream))
            except GRPCError as error:
                status = error.status
                raise
            finally:
                machine.log("talos", call=call, status=status.name)

        return Handler(served, kind, message(found.request), message(found.response))

    async def _slow(self, call: str) -> None:
        options = self._node.machine.faults.take("slow", call)
        if options is not None:
            await self._node.shared.clock.sleep(float(options.get("seconds", 0)))


def _calls(node: "TalosInstance") -> tuple[dict[str, Unary], dict[str, Streamed]]:
    """What the lab's Talos can do: calls with one answer, and those with a stream of them."""
    machine, etcd, upgrade = MachineCalls(node), EtcdCalls(node), UpgradeCalls(node)
    storage, watch = StorageCalls(node), WatchCalls(node)
    unary: dict[str, Unary] = {
        f"{MACHINE}Version": machine.version,
        f"{MACHINE}Hostname": machine.hostname,
        f"{MACHINE}ApplyConfiguration": machine.apply_configuration,
        f"{MACHINE}Reset": machine.reset,
        f"{MACHINE}Reboot": machine.reboot,
        f"{MACHINE}Shutdown": machine.shutdown,
        f"{MACHINE}Bootstrap": etcd.bootstrap,
        f"{MACHINE}EtcdMemberList": etcd.member_list,
        f"{MACHINE}EtcdStatus": etcd.status,
        f"{MACHINE}EtcdAlarmList": etcd.alarm_list,
        f"{MACHINE}EtcdAlarmDisarm": etcd.alarm_disarm,
        f"{MACHINE}EtcdDefragment": etcd.defragment,
        f"{MACHINE}EtcdLeaveCluster": etcd.leave,
        f"{MACHINE}EtcdForfeitLeadership": etcd.forfeit_leadership,
        f"{MACHINE}EtcdRemoveMemberByID": etcd.remove_member,
        f"{MACHINE}Upgrade": upgrade.upgrade,
        f"{MACHINE}Rollback": upgrade.rollback,
        f"{MACHINE}MetaWrite": upgrade.meta_write,
        f"{MACHINE}MetaDelete": upgrade.meta_delete,
        f"{MACHINE}Mounts": StateCalls(node).mounts,
        f"{MACHINE}ServiceList": watch.service_list,
        f"{MACHINE}ServiceRestart": watch.service_restart,
        f"{STORAGE}Disks": storage.disks,
        f"{STORAGE}BlockDeviceWipe": storage.block_device_wipe,
        f"{COSI}Get": storage.get,
    }
    streamed: dict[str, Streamed] = {
        f"{MACHINE}Kubeconfig": machine.kubeconfig,
        f"{MACHINE}Read": machine.read,
        f"{MACHINE}EtcdSnapshot": etcd.snapshot,
        f"{MACHINE}Events": watch.events,
        f"{MACHINE}Logs": watch.logs,
        f"{MACHINE}Dmesg": watch.dmesg,
        f"{LIFECYCLE}Upgrade": upgrade.lifecycle_upgrade,
        f"{IMAGE}Pull": upgrade.pull,
        f"{IMAGE}List": upgrade.images,
        f"{COSI}List": storage.list,
    }
    return unary, streamed


class _Unanswered:
    """A stream whose answers get lost together with the connection."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def recv_message(self) -> Any:
        return await self._stream.recv_message()

    async def send_message(self, _: Any) -> None:
        _cut(self._stream)


def _cut(stream: Any) -> None:
    stream.peer._transport.abort()  # noqa: SLF001 - grpclib has no other way to cut a connection


async def _missing(_: Any) -> None:
    raise GRPCError(Status.UNIMPLEMENTED, "not part of the lab")


def _allowed(stream: Any, request: Any) -> Any:
    """The request, unless it asks for a resource that holds secrets and the peer is no administrator."""
    asks = request.DESCRIPTOR.full_name in {"cosi.resource.GetRequest", "cosi.resource.ListRequest"}
    if asks and request.type in SENSITIVE and "os:admin" not in pki.organizations(stream.peer.cert()):
        raise GRPCError(Status.PERMISSION_DENIED, "resource is sensitive")
    return request


def _one(call: Unary) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        await stream.send_message(await call(_allowed(stream, await stream.recv_message())))

    return serve


def _fed(call: Unary) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        await stream.send_message(await call(stream))

    return serve


def _many(call: Streamed) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        async for reply in call(_allowed(stream, await stream.recv_message())):
            await stream.send_message(reply)

    return serve
