"""Mounts of one lab Talos, and the two files that tell its clock: the machine's own, offset included."""

from typing import TYPE_CHECKING, Any

from facts.talos.messages import message
from iso.lab.talos.replies import reply

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_SIZE, _FREE, _FULL = 64 << 30, 48 << 30, 1 << 20
_UP = 1000.0  # seconds that a lab machine has always been up


class StateCalls:
    """One method for each call: request message in, response message out."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    async def mounts(self, _: Any) -> Any:
        entry = message("machine.Mounts")()
        free = _FULL if self._node.machine.faults.has("disk-full") else _FREE
        entry.stats.add(filesystem="/dev/lab", size=_SIZE, available=free, mounted_on="/var")
        return reply("machine.MountsResponse", entry)

    def file(self, path: str) -> str | None:
        """None: there is no such file."""
        node = self._node
        if path == "/proc/sys/kernel/random/boot_id":
            return f"{node.boot_id}\n"
        if path == "/proc/uptime":
            return f"{_UP:.2f} 0.00\n"
        if path == "/proc/stat":
            now = node.shared.clock.now().timestamp() + node.machine.clock_offset
            return f"cpu 0 0 0 0\nbtime {int(now - _UP)}\nprocesses 1\n"
        return None
