"""Pins: which SSH host key is trusted for a node, and how the node is reached.

There is no trust on first use: what is pinned comes from an operator or a site file. Nothing connects here.
"""

from controller.store import audit
from controller.store.base import StoreBase, Unit, find, must_know, set_state
from controller.store.connection import to_json
from controller.store.rows import NodeRow, node_row
from inventory.errors import RefusedError
from inventory.lifecycle import NodeState, advance
from inventory.wording import reached_at
from inventory.words import key_words

# A host key may be replaced while Talos was not seen to run: until then a machine that lost its power, or
# did not find its disk, comes back in the bootstrap environment with a new key.
_TALOS_SEEN = frozenset({NodeState.JOINED, NodeState.CLEANED, NodeState.READY})
# What stays known of the machine: which disk we began to write, so that what is on it counts as ours.
_KEPT = ("prepared",)


class PinsChapter(StoreBase):
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
            pin_node(
                unit, node, address=address, host_key=host_key, port=port, user=user, jump=jump, site=site,
                cluster=cluster, role=role, actor=actor, reason=reason, replace=replace,
            )  # fmt: skip

    def confirm_maintenance(self, node: str, fingerprint: str, *, actor: str, reason: str) -> None:
        """Trusts a node in maintenance mode that shows this key, which it does until its next boot."""
        with self._unit() as unit:
            row = node_row(must_know(find(unit, "node", node), "node", node))
            before = str(row.record.get("maintenance_key", ""))
            record = to_json({**row.record, "maintenance_key": fingerprint})
            unit.execute("UPDATE nodes SET record = ? WHERE name = ?", [record, node])
            unit.event("MaintenanceKeyConfirmed", f"node/{node}", f"maintenance key confirmed: {fingerprint}")
            entry = audit.Entry(
                actor,
                "confirm maintenance key",
                f"node/{node}",
                before=before or "no key",
                after=fingerprint,
                reason=reason,
            )
            unit.audit(entry)


def pin_node(
    unit: Unit,
    node: str,
    *,
    address: str,
    host_key: str,
    port: int,
    user: str,
    jump: str,
    site: str,
    cluster: str,
    role: str,
    actor: str,
    reason: str,
    replace: bool,
) -> None:
    """`PinsChapter.pin`, inside a transaction that does more."""
    row = find(unit, "node", node)
    known = node_row(row) if row else None
    way = (address, port, user, jump)
    again = known is not None and known.state is NodeState.RESET and replace
    if known and known.host_key == plain_key(host_key) and way_to(known) == way and not again:
        return  # said twice
    if known and known.host_key and not replace:
        where = reached_at(known.address, known.ssh_port, known.jump) or "no address"
        raise RefusedError(
            f"{node} is pinned already ({known.key_words}, at {where})",
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
    set_pin(unit, node, host_key, actor=actor, reason=reason)


def plain_key(line: str) -> str:
    """Algorithm and key, without the comment."""
    return " ".join(line.split()[:2])


def way_to(node: NodeRow) -> tuple[str, int, str, str]:
    """How it is reached."""
    return (node.address, node.ssh_port, node.ssh_user, node.jump)


def set_pin(unit: Unit, node: str, host_key: str, *, actor: str, reason: str) -> None:
    row = node_row(must_know(find(unit, "node", node), "node", node))
    plain, words = plain_key(host_key), key_words(host_key)
    state = row.state
    if state is NodeState.DECLARED:
        state = advance(state, "pin")
    elif plain != row.host_key or state is NodeState.RESET:
        if row.state in _TALOS_SEEN:
            raise RefusedError(
                f"{node} is {row.state}; another host key would mean another machine",
                where=f"node/{node}",
                fix=f"run `cto node reset {node}` first",
            )
        state = NodeState.PINNED
        # What was learned of it no longer counts: it may be another machine.
        began = {} if row.state is NodeState.RESET else {k: row.record[k] for k in _KEPT if k in row.record}
        forget = "UPDATE nodes SET record = ?, talos = '', profile = '' WHERE name = ?"
        unit.execute(forget, [to_json(began), node])
    unit.execute("UPDATE nodes SET host_key = ?, key_words = ? WHERE name = ?", [plain, words, node])
    if state is not row.state:
        set_state(unit, "node", node, state)
    unit.event("NodePinned", f"node/{node}", f"host key pinned: {words}", {"words": words, "state": state})
    before, after = row.host_key or "no key", f"{plain} at {row.ssh_user}@{row.address}:{row.ssh_port}"
    after += f" through {row.jump}" if row.jump else ""
    unit.audit(audit.Entry(actor, "pin", f"node/{node}", before=before, after=after, reason=reason))
