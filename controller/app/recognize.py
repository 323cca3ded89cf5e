"""Whether a machine is the one that was known before: by what SMBIOS says of it, and by its network cards.

An address proves nothing, since it may be another machine's after a restart. Neither is this a proof against
a machine that lies: keys and certificates are. Trusts nothing and pins nothing.
"""

from dataclasses import dataclass

from controller.app.ports import TalosNode
from controller.app.services import Services
from controller.app.talos_port import MachineMarks
from facts.machine.platform import is_filled
from facts.machine_model import Hardware, hardware
from facts.snapshot import Facts
from inventory.errors import FleetError, HostKeyMismatch


@dataclass(frozen=True, slots=True)
class Recognized:
    """`by`: what is the same (uuid, serial, mac); `other`: what is not. Neither: nothing to compare."""

    by: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    @property
    def is_another(self) -> bool:
        """One match is enough: some firmware garbles one of them, and cards and boards are replaced."""
        return bool(self.other) and not self.by


def marks_of(hardware: Hardware) -> MachineMarks:
    return MachineMarks(
        hardware.uuid, hardware.serial, frozenset(nic.mac for nic in hardware.nics if nic.mac)
    )


def recognize(known: MachineMarks, found: MachineMarks) -> Recognized:
    """Compares what both name. Values that a vendor left as they come from the factory are none."""
    same: list[str] = []
    other: list[str] = []
    for kind, ours, theirs in (("uuid", known.uuid, found.uuid), ("serial", known.serial, found.serial)):
        if is_filled(ours) and is_filled(theirs):
            (same if ours.lower() == theirs.lower() else other).append(kind)
    if known.macs and found.macs:
        (same if known.macs & found.macs else other).append("mac")
    return Recognized(tuple(same), tuple(other))


def came_back(services: Services, node: str, facts: Facts) -> None:
    """Tells whether a machine that is to be installed again is the one that was before. The operator compared
    its new host key since; so another machine may well be meant, and is only told of.
    """
    earlier = services.store.facts(node, 1)
    if not earlier:
        return
    try:
        before, now = hardware(Facts.from_dict(earlier[0]["body"])), hardware(facts)
    except FleetError:  # gathered by an older program: what it wrote says nothing to this one
        return
    verdict = recognize(marks_of(before), marks_of(now))
    if verdict.is_another:
        text = f"another machine than before: another {', '.join(verdict.other)}"
        services.store.event("MachineExchanged", f"node/{node}", text)
    elif verdict.by and any(step.ref.step == "image" for step in services.store.steps(f"node/{node}")):
        text = f"the same machine as before, by {', '.join(verdict.by)}"
        services.store.event("MachineRecognized", f"node/{node}", text)


async def require_same(known: Hardware | None, node: TalosNode, *, name: str) -> Recognized:
    """Raises HostKeyMismatch if another machine answers for the one that was installed."""
    if known is None:
        return Recognized()
    found = await node.marks()
    verdict = recognize(marks_of(known), found)
    if verdict.is_another:
        raise HostKeyMismatch(
            "what answers is another machine than the one that was installed "
            f"(UUID {found.uuid or 'unknown'}, network cards {', '.join(sorted(found.macs)) or 'unknown'})",
            where=name,
            fix="another machine holds its address: check addresses, then run cto apply again",
        )
    return verdict
