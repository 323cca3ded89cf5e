"""Which machine a node is to be, as the site files say it: kept when they are taken over."""

from typing import TYPE_CHECKING

from controller.store.base import Unit
from roles.enrollment.hardware import normal

if TYPE_CHECKING:
    from inventory.fleet import Fleet


def put_expected(unit: Unit, fleet: "Fleet") -> None:
    """Writes only what is new: most declarations say what is known."""
    wanted = {
        (node.name, kind): normal(kind, value)
        for node in fleet.nodes.values()
        for kind, value in node.hardware.items()
    }
    rows = unit.execute("SELECT node, kind, value FROM expected_hardware")
    known = {(row["node"], row["kind"]): row["value"] for row in rows}
    for (node, kind), value in wanted.items():
        if known.get((node, kind)) != value:
            unit.execute("INSERT OR REPLACE INTO expected_hardware VALUES (?, ?, ?)", [node, kind, value])
    for node, kind in known.keys() - wanted.keys():
        unit.execute("DELETE FROM expected_hardware WHERE node = ? AND kind = ?", [node, kind])
