"""Nodes and clusters in the store: reading them, and what an observation may change outside of a step.

The steps of a life go through `steps`; pins and site files have files of their own.
"""

from controller.store import audit
from controller.store.base import TABLES, StoreBase, Unit, find, must_know, set_state
from controller.store.rows import ClusterRow, NodeRow, cluster_row, node_row
from inventory.errors import RefusedError
from inventory.lifecycle import ClusterState, NodeState

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


class NodesChapter(StoreBase):
    def node(self, name: str) -> NodeRow | None:
        row = self._row("SELECT * FROM nodes WHERE name = ?", [name])
        return node_row(row) if row else None

    def nodes(self, *, site: str = "", cluster: str = "", state: str = "") -> tuple[NodeRow, ...]:
        """In the order of their names."""
        wanted = {"site": site, "cluster": cluster, "state": state}
        asked = {column: value for column, value in wanted.items() if value}  # so that their indexes are used
        where = " AND ".join(f"{column} = ?" for column in asked) or "true"
        rows = self._rows(f"SELECT * FROM nodes WHERE {where} ORDER BY name", [*asked.values()])  # noqa: S608 -- columns from above
        return tuple(map(node_row, rows))

    def cluster(self, name: str) -> ClusterRow | None:
        row = self._row("SELECT * FROM clusters WHERE name = ?", [name])
        return cluster_row(row) if row else None

    def clusters(self) -> tuple[ClusterRow, ...]:
        return tuple(map(cluster_row, self._rows("SELECT * FROM clusters ORDER BY name")))

    def move(self, node: str, state: NodeState, *, reason: str, actor: str) -> None:
        """Puts a node where it was seen to be, by the table `MOVES`."""
        with self._unit() as unit:
            before = NodeState(must_know(find(unit, "node", node), "node", node)["state"])
            if before not in MOVES.get(state, frozenset()):
                raise RefusedError(
                    f"a node that is {before} can't be put back to {state}",
                    where=f"node/{node}",
                    fix="reset it with `cto node reset`, or let `cto apply` go on from where it is",
                )
            set_state(unit, "node", node, state)
            if state is NodeState.DECLARED:
                unit.execute("UPDATE nodes SET host_key = '', key_words = '' WHERE name = ?", [node])
            _trace_move(unit, f"node/{node}", before, state, reason=reason, actor=actor)

    def move_cluster(self, cluster: str, state: ClusterState, *, reason: str, actor: str) -> None:
        """As `move`, by `CLUSTER_MOVES`. Back to planned only if no node of it lives: etcd starts once."""
        with self._unit() as unit:
            row = must_know(find(unit, "cluster", cluster), "cluster", cluster)
            before = ClusterState(row["state"])
            nodes = unit.execute("SELECT name, state FROM nodes WHERE cluster = ? ORDER BY name", [cluster])
            live = [node["name"] for node in nodes if node["state"] in _LIVE]
            allowed = before in CLUSTER_MOVES.get(state, frozenset())
            if not allowed or (state is ClusterState.PLANNED and live):
                raise RefusedError(
                    f"a cluster that is {before} can't be put back to {state}"
                    + (f" while {', '.join(live)} lives" if live else ""),
                    where=f"cluster/{cluster}",
                    fix="reset its nodes with `cto node reset` first",
                )
            set_state(unit, "cluster", cluster, state)
            if state is ClusterState.PLANNED:  # what it held is gone, and so is the proof
                unit.execute("UPDATE clusters SET verified_at = '' WHERE name = ?", [cluster])
            _trace_move(unit, f"cluster/{cluster}", before, state, reason=reason, actor=actor)

    def set_problem(self, subject: str, text: str) -> None:
        """Why `subject` ("node/…" or "cluster/…") stands still and what to do; empty: nothing is wrong."""
        kind, _, name = subject.partition("/")
        with self._unit() as unit:
            if must_know(find(unit, kind, name), kind, name)["problem"] != text:
                sql = f"UPDATE {TABLES[kind]} SET problem = ? WHERE name = ?"  # noqa: S608 -- one of TABLES
                unit.execute(sql, [text, name])
                unit.event("ProblemFound" if text else "ProblemGone", subject, text or "the problem is gone")

    def touch_cluster(self, cluster: str) -> None:
        """It was verified now, by fresh reads. Cheap, and may be lost with the power."""
        self._loosely("UPDATE clusters SET verified_at = ? WHERE name = ?", [self._stamp(), cluster])

    def touch(self, node: str, *, talos: str = "", profile: str = "") -> None:
        """It was seen now. Cheap, and may be lost with the power."""
        self._loosely(
            "UPDATE nodes SET seen_at = ?, talos = iif(? = '', talos, ?), profile = iif(? = '', profile, ?)"
            " WHERE name = ?",
            [self._stamp(), talos, talos, profile, profile, node],
        )


def _trace_move(unit: Unit, subject: str, before: str, after: str, *, reason: str, actor: str) -> None:
    unit.event("StateMoved", subject, f"{before} → {after}: {reason}", {"before": before, "after": after})
    unit.audit(audit.Entry(actor, "move", subject, before=before, after=after, reason=reason))
