"""The gRPC server of one lab Talos: TLS, who may call what, and the routing of calls.

What the calls do is in `machine_calls` and `storage_calls`. Calls of the Talos API that the lab lacks answer
Unimplemented, and so does proxying to other nodes (`node`/`nodes` metadata).
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.events import RecvRequest, listen
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from facts.talos.messages import message, method, wire
from iso.lab.talos import pki
from iso.lab.talos.machine_calls import MachineCalls
from iso.lab.talos.storage_calls import StorageCalls

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

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


class _Routes:
    """`__mapping__` is what grpclib asks a service for."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    def __mapping__(self) -> Mapping[str, Handler]:
        machine, storage = MachineCalls(self._node), StorageCalls(self._node)
        unary: dict[str, Unary] = {
            f"{_SERVICE}Version": machine.version,
            f"{_SERVICE}Hostname": machine.hostname,
            f"{_SERVICE}ServiceList": machine.service_list,
            f"{_SERVICE}ApplyConfiguration": machine.apply_configuration,
            f"{_SERVICE}Bootstrap": machine.bootstrap,
            f"{_SERVICE}EtcdMemberList": machine.etcd_member_list,
            f"{_SERVICE}EtcdStatus": machine.etcd_status,
            f"{_SERVICE}Reset": machine.reset,
            f"{_SERVICE}Reboot": machine.reboot,
            f"{_SERVICE}Shutdown": machine.shutdown,
            f"{_STORAGE}Disks": storage.disks,
            f"{_STORAGE}BlockDeviceWipe": storage.block_device_wipe,
            f"{_COSI}Get": storage.get,
        }
        streamed: dict[str, Streamed] = {
            f"{_SERVICE}Kubeconfig": machine.kubeconfig,
            f"{_SERVICE}Read": machine.read,
            f"{_COSI}List": storage.list,
        }
        table = {path: self._handler(path, _one(call)) for path, call in unary.items()}
        table |= {path: self._handler(path, _many(call)) for path, call in streamed.items()}
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


def _one(call: Unary) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        await stream.send_message(await call(await stream.recv_message()))

    return serve


def _many(call: Streamed) -> Callable[[Any], Awaitable[None]]:
    async def serve(stream: Any) -> None:
        async for reply in call(await stream.recv_message()):
            await stream.send_message(reply)

    return serve
