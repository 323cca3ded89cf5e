"""What a rollout asks a node besides its version and health: its clock, its room, an install not yet proved.

The clock is what the kernel says, not what TimeService does: that one asks the node's time server first, and
an isolated site has none.
"""

from contextlib import aclosing

from controller.adapters.talos_node import MACHINE, NodeCalls
from facts.talos.messages import message
from facts.talos.resources import UPGRADE_FALLBACK
from inventory.errors import NodeError

_DATA = "/var"  # where Talos mounts EPHEMERAL: images are pulled to it
_MAX_FILE = 1 << 20


class StateCalls(NodeCalls):
    async def unproved_install(self) -> bool:
        type_, namespace, wanted = UPGRADE_FALLBACK
        return any([id_ == wanted async for id_, _ in self._list(type_, namespace)])

    async def clock(self) -> float:
        stat, uptime = await self._file("/proc/stat"), await self._file("/proc/uptime")
        try:
            booted = next(float(line.split()[1]) for line in stat.splitlines() if line.startswith("btime "))
            return booted + float(uptime.split()[0])
        except (StopIteration, ValueError, IndexError) as error:
            raise NodeError("its clock can't be read", where=self._node, fix="look at the node") from error

    async def free_bytes(self) -> int | None:
        entry = await self._read("Mounts")
        found = [int(one.available) for one in entry.stats if one.mounted_on == _DATA]
        return found[0] if found else None

    async def _file(self, path: str) -> str:
        found = bytearray()
        request = message("machine.ReadRequest")(path=path)
        stream = self._calls.stream(f"{MACHINE}/Read", request, deadline=self._deadline)
        async with aclosing(stream) as parts:
            async for part in parts:
                found += part.bytes[: _MAX_FILE - len(found)]
        return found.decode("ascii", errors="replace")
