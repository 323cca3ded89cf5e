"""Rollouts in the store: created, saved step by step with what follows from a step, ordered about by people.

A step's decision, the acts that it orders, its events and audit rows are one transaction, in which calendar
and freezes are read, too. What a state means is not known here: it is text.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from controller.store import audit, rollouts_read
from controller.store.base import StoreBase, Unit
from controller.store.connection import to_json
from controller.store.rollouts_read import (
    ActRow,
    CommandRow,
    RolloutRow,
    act_row,
    command_row,
    no_rollout,
    rollout_row,
)
from inventory.errors import BusyError, RefusedError
from inventory.wording import count

_KEPT_DURATIONS = 20  # of each kind


@dataclass(frozen=True, slots=True)
class NewRollout:
    """What is frozen when a rollout is made. `clusters`: (name, site, body) in their order."""

    id: str
    actor: str
    reason: str
    status: str
    head: str
    summary: Mapping[str, Any]
    clusters: tuple[tuple[str, str, str], ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    rollback_of: str = ""


class RolloutTurn:
    """One decision about one rollout, inside its transaction."""

    def __init__(self, unit: Unit, rollout: str) -> None:
        self._unit, self.rollout = unit, rollout

    def save(
        self,
        *,
        status: str,
        head: str,
        summary: Mapping[str, Any],
        clusters: Mapping[str, str],
        over: bool,
    ) -> None:
        unit = self._unit
        unit.execute(
            "UPDATE rollouts SET status = ?, head = ?, summary = ?, saved_at = ?, over = ?,"
            " finished_at = iif(? AND finished_at = '', ?, finished_at) WHERE id = ?",
            [status, head, to_json(summary), unit.at, int(over), int(over), unit.at, self.rollout],
        )
        unit.connection.executemany(
            "UPDATE rollout_clusters SET body = ? WHERE rollout = ? AND cluster = ?",
            [(body, self.rollout, name) for name, body in clusters.items()],
        )

    def begin_act(self, key: str, cluster: str, node: str, step: str, attempt: int) -> None:
        """The intent. A key that was ordered before is refused by the file itself."""
        unit = self._unit
        unit.execute(
            "INSERT INTO rollout_acts (key, rollout, cluster, node, step, attempt, epoch, began_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [key, self.rollout, cluster, node, step, attempt, unit.epoch, unit.at],
        )
        after = f"attempt {attempt}"
        unit.audit(audit.Entry("engine", f"begin {step}", f"node/{node}", run=self.rollout, after=after))

    def end_act(self, key: str, result: str, detail: str) -> None:
        """What became of it. Said twice, the first time counts."""
        unit = self._unit
        row = unit.one(
            "UPDATE rollout_acts SET ended_at = ?, result = ?, detail = ?"
            " WHERE key = ? AND ended_at = '' RETURNING node, step",
            [unit.at, result, detail[:1000], key],
        )
        if row is not None:
            action = f"finish {row['step']}: {result}"
            unit.audit(audit.Entry("engine", action, f"node/{row['node']}", run=self.rollout))

    def tell(self, kind: str, subject: str, text: str, data: Mapping[str, Any]) -> None:
        self._unit.event(kind, subject, text, {**data, "rollout": self.rollout})

    def obeyed(self, ids: Iterable[str]) -> None:
        self._unit.connection.executemany(
            "UPDATE rollout_commands SET obeyed_at = ? WHERE id = ?", [(self._unit.at, one) for one in ids]
        )

    def node_runs(self, node: str, *, talos: str = "", kubernetes: str = "") -> None:
        """A node was seen to run this: the record of what is installed follows."""
        unit = self._unit
        if talos:
            unit.execute(
                "UPDATE nodes SET talos = ?, record = json_set(record, '$.image.talos', ?)"
                " WHERE name = ? AND json_type(record, '$.image') IS NOT NULL",
                [talos, talos, node],
            )
            unit.execute("UPDATE nodes SET talos = ? WHERE name = ?", [talos, node])
        if kubernetes:
            unit.execute(
                "UPDATE nodes SET record = json_set(record, '$.kubernetes', ?) WHERE name = ?",
                [kubernetes, node],
            )

    def problem(self, node: str, text: str) -> None:
        self._unit.execute("UPDATE nodes SET problem = ? WHERE name = ?", [text, node])

    def failed(self, failures: Mapping[str, int]) -> None:
        self._unit.connection.executemany(
            "INSERT INTO rollout_failures (node_version, count) VALUES (?, ?)"
            " ON CONFLICT (node_version) DO UPDATE SET count = max(count, excluded.count)",
            list(failures.items()),
        )

    def took(self, kind: str, seconds: int) -> None:
        unit = self._unit
        unit.execute("INSERT INTO rollout_durations (kind, seconds) VALUES (?, ?)", [kind, seconds])
        unit.execute(
            "DELETE FROM rollout_durations WHERE kind = ? AND id NOT IN"
            " (SELECT id FROM rollout_durations WHERE kind = ? ORDER BY id DESC LIMIT ?)",
            [kind, kind, _KEPT_DURATIONS],
        )


class RolloutsChapter(StoreBase):
    def create_rollout(self, new: NewRollout) -> None:
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO rollouts (id, status, actor, reason, rollback_of, facts, head, summary,"
                " created_at, saved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(new.id, new.status, new.actor, new.reason, new.rollback_of, to_json(new.facts)),
                    *(new.head, to_json(new.summary), unit.at, unit.at),
                ],
            )
            unit.connection.executemany(
                "INSERT INTO rollout_clusters (rollout, position, cluster, site, body)"
                " VALUES (?, ?, ?, ?, ?)",
                [(new.id, i, name, site, body) for i, (name, site, body) in enumerate(new.clusters)],
            )
            subject = f"rollout/{new.id}"
            text = f"{count(len(new.clusters), 'cluster')}: {new.reason}"
            unit.event("RolloutCreated", subject, text, {"rollout": new.id})
            after = to_json(new.facts)[:500]
            unit.audit(audit.Entry(new.actor, "create rollout", subject, after=after, reason=new.reason))

    def rollout(self, rollout: str) -> RolloutRow:
        row = self._row("SELECT * FROM rollouts WHERE id = ?", [rollout])
        if row is None:
            raise no_rollout(rollout)
        return rollout_row(row)

    def open_rollouts(self) -> tuple[RolloutRow, ...]:
        """Those that are not over, oldest first."""
        rows = self._rows("SELECT * FROM rollouts WHERE over = 0 ORDER BY created_at, rowid")
        return tuple(map(rollout_row, rows))

    def rollout_bodies(self, rollout: str) -> dict[str, str]:
        """Cluster → its part of the state, in the order of the rollout."""
        rows = self._rows(
            "SELECT cluster, body FROM rollout_clusters WHERE rollout = ? ORDER BY position", [rollout]
        )
        return {row["cluster"]: row["body"] for row in rows}

    def clusters_at_work(self, cluster: str = "") -> dict[str, str]:
        """Cluster → the rollout that changes its nodes now; of one cluster, or of all."""
        return rollouts_read.at_work(self._rows, cluster)

    def rollout_acts(self, rollout: str) -> tuple[ActRow, ...]:
        rows = self._rows("SELECT * FROM rollout_acts WHERE rollout = ? ORDER BY rowid", [rollout])
        return tuple(map(act_row, rows))

    def busy_sites(self) -> dict[str, str]:
        """Site → the rollout that is under way there."""
        rows = self._rows(
            "SELECT DISTINCT c.site, c.rollout FROM rollout_clusters c"
            " JOIN rollouts r ON r.id = c.rollout WHERE r.over = 0"
        )
        return {row["site"]: row["rollout"] for row in rows}

    def rollout_failures(self) -> dict[str, int]:
        return {row["node_version"]: row["count"] for row in self._rows("SELECT * FROM rollout_failures")}

    def rollout_durations(self, kind: str) -> tuple[int, ...]:
        rows = self._rows("SELECT seconds FROM rollout_durations WHERE kind = ? ORDER BY id", [kind])
        return tuple(row["seconds"] for row in rows)

    def note_config(self, node: str, before: str, after: str) -> bool:
        """The node was given another configuration than the one recorded. False: another one is recorded."""
        with self._unit() as unit:
            done = unit.execute(
                "UPDATE nodes SET record = json_set(record, '$.config_digest', ?)"
                " WHERE name = ? AND json_extract(record, '$.config_digest') = ?",
                [after, node, before],
            )
            if done.rowcount == 1:
                unit.audit(audit.Entry("engine", "deliver", f"node/{node}", before=before, after=after))
        return done.rowcount == 1

    # --- what people say

    def order_rollout(
        self, rollout: str, verb: str, *, actor: str, reason: str, cluster: str = "", wave: int = -1
    ) -> str:
        """Leaves a command for the engine; returns its id."""
        id_ = self._new_id()
        with self._unit() as unit:
            row = unit.one("SELECT over FROM rollouts WHERE id = ?", [rollout])
            if row is None:
                raise no_rollout(rollout)
            if row["over"]:
                raise RefusedError(f"rollout {rollout} is over", fix=f"cto rollout rollback {rollout}")
            unit.execute(
                "INSERT INTO rollout_commands (id, rollout, verb, actor, reason, cluster, wave, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [id_, rollout, verb, actor, reason, cluster, wave, unit.at],
            )
            about = cluster or (f"wave {wave + 1}" if wave >= 0 else "")
            unit.audit(
                audit.Entry(actor, f"rollout {verb}", f"rollout/{rollout}", after=about, reason=reason)
            )
        return id_

    def rollout_commands(self, rollout: str) -> tuple[CommandRow, ...]:
        """Those that no engine has taken yet, oldest first."""
        rows = self._rows(
            "SELECT * FROM rollout_commands WHERE rollout = ? AND obeyed_at = '' ORDER BY at, rowid",
            [rollout],
        )
        return tuple(map(command_row, rows))

    # --- one decision

    def overtaken(self) -> bool:
        """Whether a newer engine has started."""
        row = self._row("SELECT epoch FROM meta")
        return row is None or row["epoch"] != self.epoch

    @contextmanager
    def rollout_turn(self, rollout: str) -> Iterator[RolloutTurn]:
        """The transaction of one decision. Raises BusyError if a newer engine has started."""
        if self._ballast:
            self.home.reserve_ballast(self._ballast)
        with self._unit() as unit:
            meta = unit.one("SELECT epoch, observe_only FROM meta")
            if meta is None or meta["epoch"] != unit.epoch:
                raise BusyError(
                    "a newer engine has taken over this fleet",
                    where=f"rollout/{rollout}",
                    fix=f"this one stops; follow the other with `cto rollout status {rollout}`",
                )
            if meta["observe_only"]:
                raise RefusedError(
                    "after a restore nothing is changed until every node was read",
                    where=f"rollout/{rollout}",
                    fix="run `cto apply`, which reads them first",
                )
            yield RolloutTurn(unit, rollout)
