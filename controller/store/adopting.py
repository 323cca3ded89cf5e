"""Records a cluster that exists as ready, since every node of it was read. The only way there without steps.

What has to be read is `controller.app.adopt`'s matter; here is only from which states it may be recorded.
"""

from collections.abc import Mapping
from typing import Any

from controller.store import audit
from controller.store.base import StoreBase, Unit, find, must_know, set_state
from controller.store.connection import to_json
from controller.store.rows import node_row
from inventory.errors import RefusedError
from inventory.lifecycle import ClusterState, NodeState
from inventory.wording import count

# Nothing of ours was put on it, or nothing is left: otherwise `cto apply` goes on from where it is.
ADOPTABLE = frozenset({NodeState.DECLARED, NodeState.PINNED, NodeState.INSPECTED, NodeState.RESET})


class AdoptingChapter(StoreBase):
    def adopt(self, cluster: str, talos: Mapping[str, str], *, first: str, actor: str, reason: str) -> None:
        """`talos`: the version that each node answered with. All of it is recorded, or nothing.

        A pin is dropped: it named the bootstrap environment, and Talos has no SSH. Nodes that were adopted
        before stay as they are, so that it can be said twice.
        """
        with self._unit() as unit:
            for name, version in talos.items():
                self._adopt_node(unit, name, version, actor=actor, reason=reason)
            before = ClusterState(must_know(find(unit, "cluster", cluster), "cluster", cluster)["state"])
            if before is ClusterState.READY:
                unit.execute("UPDATE clusters SET verified_at = ? WHERE name = ?", [unit.at, cluster])
                return
            if before is not ClusterState.PLANNED:
                raise RefusedError(
                    f"a cluster that is {before} can't be adopted",
                    where=f"cluster/{cluster}",
                    fix="it is being installed from here: let `cto apply` go on",
                )
            set_state(unit, "cluster", cluster, ClusterState.READY)
            unit.execute(
                "UPDATE clusters SET record = ?, verified_at = ? WHERE name = ?",
                [to_json({"adopted": unit.at, "first": first}), unit.at, cluster],
            )
            message = f"taken over with {count(len(talos), 'node')}, which were only read"
            unit.event("ClusterAdopted", f"cluster/{cluster}", message, {"nodes": list(talos)})
            unit.audit(
                audit.Entry(
                    actor,
                    "adopt",
                    f"cluster/{cluster}",
                    before=before,
                    after=ClusterState.READY,
                    reason=reason,
                )
            )

    def manage(self, cluster: str, *, on: bool, actor: str) -> tuple[str, ...]:
        """Whether the configurations of its adopted nodes may be changed from here; the nodes' names."""
        with self._unit() as unit:
            must_know(find(unit, "cluster", cluster), "cluster", cluster)
            rows = unit.execute("SELECT * FROM nodes WHERE cluster = ? ORDER BY name", [cluster])
            found = [row for row in map(node_row, rows) if row.record.get("adopted")]
            for row in found:
                record = {**row.record, "managed": on}
                unit.execute("UPDATE nodes SET record = ? WHERE name = ?", [to_json(record), row.name])
            names = tuple(row.name for row in found)
            if names:
                what = "may be changed from here" if on else "are left as they are from now on"
                message = f"the configurations of {len(names)} adopted nodes {what}"
                unit.event("ClusterManaged", f"cluster/{cluster}", message, {"on": on, "nodes": list(names)})
                after = "managed" if on else "left alone"
                unit.audit(audit.Entry(actor, "manage", f"cluster/{cluster}", after=after, reason=message))
        return names

    def _adopt_node(self, unit: Unit, name: str, version: str, *, actor: str, reason: str) -> None:
        row = node_row(must_know(find(unit, "node", name), "node", name))
        if row.state is NodeState.READY and row.record.get("adopted"):
            return
        if row.state not in ADOPTABLE:
            raise RefusedError(
                f"a node that is {row.state} can't be adopted: it was installed from here",
                where=f"node/{name}",
                fix="let `cto apply` go on from where it is",
            )
        record: Mapping[str, Any] = {"adopted": unit.at, "image": {"talos": version}}
        set_state(unit, "node", name, NodeState.READY)
        unit.execute(
            "UPDATE nodes SET record = ?, talos = ?, seen_at = ?, host_key = '', key_words = '', unread = 0"
            " WHERE name = ?",
            [to_json(record), version, unit.at, name],
        )
        unit.event("NodeAdopted", f"node/{name}", f"runs Talos {version}; only read", {"talos": version})
        unit.audit(
            audit.Entry(
                actor, "adopt", f"node/{name}", before=row.state, after=NodeState.READY, reason=reason
            )
        )
