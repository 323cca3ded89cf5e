"""Sites, clusters and nodes in the store: declaring them, pinning host keys, moving a state by observation.

The steps of a life go through `steps`; here is only what an operator or an observation may change.
"""

from collections.abc import Sequence
from typing import Any

from controller.adapters.store import audit
from controller.adapters.store.base import StoreBase, Unit
from controller.adapters.store.connection import to_json
from controller.adapters.store.rows import ClusterRow, Declared, NodeRow, cluster_row, node_row
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Cluster, Fleet, Node
from inventory.lifecycle import ClusterState, NodeState, advance
from inventory.words import key_words

# Where a node may be put because it was *seen* to be there, and from where. Everything else goes by steps.
_BEGUN = frozenset(NodeState) - {NodeState.DECLARED}
MOVES: dict[NodeState, frozenset[NodeState]] = {
    # its trust is withdrawn; the pin is dropped
    NodeState.DECLARED: frozenset({NodeState.PINNED, NodeState.INSPECTED, NodeState.RESET}),
    # the bootstrap environment answers with the pinned key, whatever we believed
    NodeState.PINNED: _BEGUN - {NodeState.PINNED},
    # told to reboot, but it is still the same boot of the bootstrap environment
    NodeState.BOOT_SET: frozenset({NodeState.BOOTING}),
    # Talos answers with the cluster's own certificates, which proves everything before
    NodeState.JOINED: frozenset(NodeState) - {NodeState.JOINED},
    # wiped half-way through its life
    NodeState.RESET: _BEGUN - {NodeState.RESET},
}
CLUSTER_MOVES: dict[ClusterState, frozenset[ClusterState]] = {
    # all of its nodes were reset (checked); etcd's only start is ahead again
    ClusterState.PLANNED: frozenset(ClusterState) - {ClusterState.PLANNED},
    # a member came, went or changed: to be verified again
    ClusterState.ACCESSIBLE: frozenset({ClusterState.READY}),
}
_LIVE = (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)
# A host key may be replaced only while nothing of ours runs on the machine.
_REPINNABLE = frozenset({NodeState.PINNED, NodeState.INSPECTED, NodeState.PREPARED, NodeState.RESET})


class NodesChapter(StoreBase):
    def node(self, name: str) -> NodeRow | None:
        row = self._row("SELECT * FROM nodes WHERE name = ?", [name])
        return node_row(row) if row else None

    def nodes(self, *, site: str = "", cluster: str = "", state: str = "") -> tuple[NodeRow, ...]:
        """In the order of their names."""
        rows = self._rows(
            "SELECT * FROM nodes WHERE ? IN ('', site) AND ? IN ('', cluster) AND ? IN ('', state) ORDER BY name",
            [site, cluster, state],
        )
        return tuple(map(node_row, rows))

    def cluster(self, name: str) -> ClusterRow | None:
        row = self._row("SELECT * FROM clusters WHERE name = ?", [name])
        return cluster_row(row) if row else None

    def clusters(self) -> tuple[ClusterRow, ...]:
        return tuple(map(cluster_row, self._rows("SELECT * FROM clusters ORDER BY name")))

    def declare(self, fleet: Fleet, *, actor: str) -> Declared:
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
            for node in fleet.nodes.values():
                if node.host_key and not (node.name in known and known[node.name].host_key):
                    _set_pin(unit, node.name, node.host_key, actor=actor, reason="pinned in the site file")
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

    def pin(
        self,
        node: str,
        *,
        address: str,
        host_key: str,
        port: int = 22,
        user: str = "root",
        jump: str = "",
        site: str = "",
        cluster: str = "",
        role: str = "",
        actor: str,
        reason: str,
        replace: bool = False,
    ) -> None:
        """Trusts `host_key` for `node`, which the site files need not know yet.

        A node that is pinned already is changed only with `replace`, and gets another key only while
        nothing of ours runs on it.
        """
        with self._unit() as unit:
            row = unit.one("SELECT * FROM nodes WHERE name = ?", [node])
            known = node_row(row) if row else None
            way = (address, port, user, jump)
            if known and known.host_key and _plain_key(host_key) == known.host_key:
                if way == (known.address, known.ssh_port, known.ssh_user, known.jump):
                    return  # said twice
            if known and known.host_key and not replace:
                raise RefusedError(
                    f"{node} is pinned already ({known.key_words}, at {known.address or 'no address'})",
                    where=f"node/{node}",
                    fix="if the machine was really exchanged or moved, say so with --replace",
                )
            if known is None:
                unit.execute(
                    "INSERT INTO nodes (name, site, cluster, role, state, changed_at) VALUES (?, ?, ?, ?, ?, ?)",
                    [node, site, cluster, role, NodeState.DECLARED, unit.at],
                )
            unit.execute(
                "UPDATE nodes SET address = ?, ssh_port = ?, ssh_user = ?, jump = ?,"
                " site = iif(? = '', site, ?), cluster = iif(? = '', cluster, ?), role = iif(? = '', role, ?)"
                " WHERE name = ?",
                [*way, site, site, cluster, cluster, role, role, node],
            )
            _set_pin(unit, node, host_key, actor=actor, reason=reason)

    def move(self, node: str, state: NodeState, *, reason: str, actor: str) -> None:
        """Puts a node where it was seen to be, by the table `MOVES`."""
        with self._unit() as unit:
            row = unit.one("SELECT state FROM nodes WHERE name = ?", [node])
            before = NodeState(_known(row, "node", node)["state"])
            if before not in MOVES.get(state, frozenset()):
                raise RefusedError(
                    f"a node that is {before} can't be put back to {state}",
                    where=f"node/{node}",
                    fix="reset it with `cto node reset`, or let `cto apply` go on from where it is",
                )
            _set_state(unit, "node", node, state)
            if state is NodeState.DECLARED:
                unit.execute("UPDATE nodes SET host_key = '', key_words = '' WHERE name = ?", [node])
            _trace_move(unit, f"node/{node}", before, state, reason=reason, actor=actor)

    def move_cluster(self, cluster: str, state: ClusterState, *, reason: str, actor: str) -> None:
        """As `move`, by `CLUSTER_MOVES`. Back to planned only if none of its nodes lives: etcd starts once."""
        with self._unit() as unit:
            row = unit.one("SELECT state FROM clusters WHERE name = ?", [cluster])
            before = ClusterState(_known(row, "cluster", cluster)["state"])
            live = unit.one(
                f"SELECT name FROM nodes WHERE cluster = ? AND state IN ({', '.join('?' * len(_LIVE))})",  # noqa: S608 -- marks only
                [cluster, *_LIVE],
            )
            if before not in CLUSTER_MOVES.get(state, frozenset()) or (
                state is ClusterState.PLANNED and live
            ):
                raise RefusedError(
                    f"a cluster that is {before} can't be put back to {state}"
                    + (f" while its node {live['name']} lives" if live else ""),
                    where=f"cluster/{cluster}",
                    fix="reset its nodes with `cto node reset` first",
                )
            _set_state(unit, "cluster", cluster, state)
            _trace_move(unit, f"cluster/{cluster}", before, state, reason=reason, actor=actor)

    def set_problem(self, subject: str, text: str) -> None:
        """Why `subject` ("node/…" or "cluster/…") stands still and what to do; empty: nothing is wrong."""
        kind, _, name = subject.partition("/")
        table = _TABLES[kind]
        with self._unit() as unit:
            row = _known(unit.one(f"SELECT problem FROM {table} WHERE name = ?", [name]), kind, name)  # noqa: S608
            if row["problem"] != text:
                unit.execute(f"UPDATE {table} SET problem = ? WHERE name = ?", [text, name])  # noqa: S608
                unit.event("ProblemFound" if text else "ProblemGone", subject, text or "the problem is gone")

    def touch(self, node: str, *, talos: str = "", profile: str = "") -> None:
        """It was seen now. Cheap, and may be lost with the power."""
        self._loosely(
            "UPDATE nodes SET seen_at = ?, talos = iif(? = '', talos, ?), profile = iif(? = '', profile, ?)"
            " WHERE name = ?",
            [self._stamp(), talos, talos, profile, profile, node],
        )


# Table names come from here and never from a caller's text.
_TABLES = {"node": "nodes", "cluster": "clusters"}


def _known(row: Any, kind: str, name: str) -> Any:
    if row is None:
        raise OperatorError(
            f"there is no {kind} {name!r}", fix=f"see `cto status` for the {kind}s that are known"
        )
    return row


def _plain_key(line: str) -> str:
    """Algorithm and key, without the comment."""
    return " ".join(line.split()[:2])


def _set_state(unit: Unit, kind: str, name: str, state: str) -> None:
    unit.execute(
        f"UPDATE {_TABLES[kind]} SET state = ?, problem = '', changed_at = ? WHERE name = ?",  # noqa: S608
        [state, unit.at, name],
    )


def _trace_move(unit: Unit, subject: str, before: str, after: str, *, reason: str, actor: str) -> None:
    unit.event("StateMoved", subject, f"{before} → {after}: {reason}", {"before": before, "after": after})
    unit.audit(audit.Entry(actor, "move", subject, before=before, after=after, reason=reason))


def _set_pin(unit: Unit, node: str, host_key: str, *, actor: str, reason: str) -> None:
    row = node_row(_known(unit.one("SELECT * FROM nodes WHERE name = ?", [node]), "node", node))
    plain, words = _plain_key(host_key), key_words(host_key)
    state = row.state
    if state is NodeState.DECLARED:
        state = advance(state, "pin")
    elif plain != row.host_key:
        if row.state not in _REPINNABLE:
            raise RefusedError(
                f"{node} is {row.state}; another host key would mean another machine",
                where=f"node/{node}",
                fix=f"run `cto node reset {node}` first",
            )
        state = NodeState.PINNED  # what was learned of the other machine no longer counts
    unit.execute("UPDATE nodes SET host_key = ?, key_words = ? WHERE name = ?", [plain, words, node])
    if state is not row.state:
        _set_state(unit, "node", node, state)
    unit.event("NodePinned", f"node/{node}", f"host key pinned: {words}", {"words": words, "state": state})
    unit.audit(
        audit.Entry(actor, "pin", f"node/{node}", before=row.host_key or "no key", after=plain, reason=reason)
    )


def _put_site(unit: Unit, fleet: Fleet, name: str) -> bool:
    site = fleet.sites[name]
    values = [site.organization, site.timezone, to_json(dict(site.labels))]
    row = unit.one("SELECT organization, timezone, labels FROM sites WHERE name = ?", [name])
    if row is not None and list(row) == values:
        return False
    unit.execute(
        "INSERT INTO sites (name, organization, timezone, labels) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET organization = excluded.organization, timezone = excluded.timezone, labels = excluded.labels",
        [name, *values],
    )
    return True


def _put_cluster(unit: Unit, cluster: Cluster) -> bool:
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


def _put_node(unit: Unit, node: Node, known: NodeRow | None) -> bool:
    """True if a node that was known is changed by this."""
    if known is None:
        unit.execute(
            "INSERT INTO nodes (name, state, changed_at) VALUES (?, ?, ?)",
            [node.name, NodeState.DECLARED, unit.at],
        )
    way: Sequence[Any] = (node.address, node.ssh_port, node.ssh_user, node.jump)
    if known is not None and not node.address:  # reached as `cto node add` said
        way = (known.address, known.ssh_port, known.ssh_user, known.jump)
    after = (node.site, node.cluster, node.role, 1, to_json(dict(node.labels)), *way)
    before = known and (
        known.site,
        known.cluster,
        known.role,
        int(known.declared),
        to_json(dict(known.labels)),
        *(known.address, known.ssh_port, known.ssh_user, known.jump),
    )
    if before != after:
        unit.execute(
            "UPDATE nodes SET site = ?, cluster = ?, role = ?, declared = ?, labels = ?,"
            " address = ?, ssh_port = ?, ssh_user = ?, jump = ? WHERE name = ?",
            [*after, node.name],
        )
    return known is not None and before != after


def _conflicts(fleet: Fleet, known: dict[str, NodeRow]) -> tuple[str, ...]:
    return tuple(
        node.name
        for node in fleet.nodes.values()
        if node.host_key
        and node.name in known
        and known[node.name].host_key
        and _plain_key(node.host_key) != known[node.name].host_key
    )
