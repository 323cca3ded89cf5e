"""What all groups of Talos calls share: asking one node, one answer, resources by type.

The groups are `talos_etcd`, `talos_upgrade`, `talos_watch` and `talos_hardware`; `talos` puts them together.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from facts.talos.messages import message
from facts.talos.resources import spec_of
from inventory.errors import NodeError

if TYPE_CHECKING:
    from controller.adapters.talos_calls import Calls

MACHINE = "/machine.MachineService"
_MAX_ROWS = 10_000


class NodeCalls:
    """`deadline` (seconds) is for reads; calls that make the node work name their own, longer ones."""

    def __init__(self, calls: "Calls", node: str, deadline: float) -> None:
        self._calls = calls
        self._node = node
        self._deadline = deadline

    async def resource(self, type_: str, namespace: str, id_: str) -> Mapping[str, Any]:
        request = message("cosi.resource.GetRequest")(namespace=namespace, type=type_, id=id_)
        reply = await self._calls.read("/cosi.resource.State/Get", request, deadline=self._deadline)
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

    async def _read(self, name: str, request: Any = None) -> Any:
        """The one entry of a MachineService call that changes nothing."""
        request = empty() if request is None else request
        return self._entry(await self._calls.read(f"{MACHINE}/{name}", request, deadline=self._deadline))

    async def _act(self, name: str, request: Any, *, deadline: float) -> Any:
        """The one entry of a MachineService call that changes something: asked once, whatever happens."""
        return self._entry(await self._calls.unary(f"{MACHINE}/{name}", request, deadline=deadline))

    def _entry(self, reply: Any) -> Any:
        if len(reply.messages) != 1:
            raise NodeError(
                f"{len(reply.messages)} answers instead of one",
                where=self._node,
                fix="check that Talos answers there",
            )
        return reply.messages[0]


def empty() -> Any:
    return message("google.protobuf.Empty")()
