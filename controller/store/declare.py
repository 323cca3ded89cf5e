"""Takes over what the site files declare. Removes nothing, keeps every state, never replaces a pin."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from controller.store import audit
from controller.store.base import StoreBase, Unit
from controller.store.connection import to_json
from controller.store.expected import put_expected
from controller.store.pins import plain_key, set_pin, way_to
from controller.store.rows import Declared, NodeRow, node_row
from inventory.lifecycle import ClusterState, NodeState

if TYPE_CHECKING:  # values that are handed in
    from inventory.fleet import Cluster, Fleet, Node


class DeclareChapter(StoreBase):
    def declare(self, fleet: "Fleet", *, actor: str) -> Declared:
        """Takes the fleet's sites, clusters and nodes over. Removes nothing and keeps every state.

        A host key in the files pins a node that has none; a different one than the pinned is a conflict.
        """
        with self._unit() as unit:
            known = {row["name"]: node_row(row) for row in unit.execute("SELECT * FROM nodes")}
            touched = [_put_site(unit, fleet, name) for name in fleet.sites]
            touched += [_put_cluster(unit, cluster) for cluster in fleet.clusters.values()]
            added = tuple(name for name in fleet.nodes if name not in known)
            changed = tuple(
                node.name for node in fleet.nodes.values() if _put_node(unit, node, known.get(node.name))
            )
            put_expected(unit, fleet)
            for node in fleet.nodes.values():
                if node.host_key and not (node.name in known and known[node.name].host_key):
                    set_pin(unit, node.name, node.host_key, actor=actor, reason="pinned in the site file")
            missing = tuple(name for name, row in known.items() if row.declared and name not in fleet.nodes)
            for name in missing:
                unit.execute("UPDATE nodes SET declared = 0 WHERE name = ?", [name])
            if added or changed or missing or any(touched):
                counts = f"{len(added)} added, {len(changed)} changed, {len(missing)} no longer declared"
                unit.event("Declared", "controller", f"site files taken over: {counts}")
                unit.audit(audit.Entry(actor, "declare", "fleet", after=counts))
        gone = tuple(
            name for name in known if name not in fleet.nodes and known[name].state is not NodeState.RESET
        )
        return Declared(added, changed, gone, _conflicts(fleet, known))

    def declare_site(self, fleet: "Fleet", name: str, *, actor: str) -> None:
        """Takes over one site and nothing that is at it; a site that is known stays as it is."""
        with self._unit() as unit:
            if unit.one("SELECT 1 FROM sites WHERE name = ?", [name]) is None:
                _put_site(unit, fleet, name)
                unit.event("Declared", "controller", f"site {name} taken over from the site files")
                unit.audit(audit.Entry(actor, "declare", f"site/{name}"))


def _put_site(unit: Unit, fleet: "Fleet", name: str) -> bool:
    site = fleet.sites[name]
    values = [site.organization, site.timezone, to_json(dict(site.labels))]
    row = unit.one("SELECT organization, timezone, labels FROM sites WHERE name = ?", [name])
    if row is not None and list(row) == values:
        return False
    unit.execute(
        "INSERT INTO sites (name, organization, timezone, labels) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET"
        " organization = excluded.organization, timezone = excluded.timezone, labels = excluded.labels",
        [name, *values],
    )
    return True


def _put_cluster(unit: Unit, cluster: "Cluster") -> bool:
    values = [cluster.site, cluster.endpoint, cluster.kubernetes]
    row = unit.one("SELECT site, endpoint, kubernetes FROM clusters WHERE name = ?", [cluster.name])
    if row is not None and list(row) == values:
        return False
    unit.execute(
        "INSERT INTO clusters (name, site, endpoint, kubernetes, state, changed_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE"
        " SET site = excluded.site, endpoint = excluded.endpoint, kubernetes = excluded.kubernetes",
        [cluster.name, *values, ClusterState.PLANNED, unit.at],
    )
    return True


def _put_node(unit: Unit, node: "Node", known: NodeRow | None) -> bool:
    """True if a node that was known is changed by this."""
    if known is None:
        unit.execute(
            "INSERT INTO nodes (name, state, changed_at) VALUES (?, ?, ?)",
            [node.name, NodeState.DECLARED, unit.at],
        )
    way: Sequence[Any] = (node.address, node.ssh_port, node.ssh_user, node.jump)
    if known is not None and not node.address:  # reached as `cto node add` said
        way = way_to(known)
    after = (node.site, node.cluster, node.role, 1, to_json(dict(node.labels)), *way)
    before = known and (
        known.site,
        known.cluster,
        known.role,
        int(known.declared),
        to_json(dict(known.labels)),
        *way_to(known),
    )
    if before != after:
        unit.execute(
            "UPDATE nodes SET site = ?, cluster = ?, role = ?, declared = ?, labels = ?,"
            " address = ?, ssh_port = ?, ssh_user = ?, jump = ? WHERE name = ?",
            [*after, node.name],
        )
    return known is not None and before != after


def _conflicts(fleet: "Fleet", known: dict[str, NodeRow]) -> tuple[str, ...]:
    return tuple(
        node.name
        for node in fleet.nodes.values()
        if node.host_key
        and node.name in known
        and known[node.name].host_key
        and plain_key(node.host_key) != known[node.name].host_key
    )
