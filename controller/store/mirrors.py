"""The in-cluster mirror in the store: where it is on, what was written last, what people proposed there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.store import audit
from controller.store.base import StoreBase, find, must_know
from controller.store.connection import to_json
from inventory.errors import OperatorError

_MOST_OPEN = 100  # proposals of one cluster: whoever edits in a loop fills no disk


@dataclass(frozen=True, slots=True)
class MirrorRow:
    cluster: str
    written: Mapping[str, Any] | None
    written_at: str
    problem: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """`by`: the field manager that the cluster names. It is what somebody called themselves, no proof."""

    id: int
    cluster: str
    body: Mapping[str, Any]
    by: str
    seen_at: str


class MirrorsChapter(StoreBase):
    def set_mirror(self, cluster: str, *, on: bool, actor: str) -> None:
        with self._unit() as unit:
            must_know(find(unit, "cluster", cluster), "cluster", cluster)
            sql = (
                "INSERT INTO mirrors (cluster) VALUES (?) ON CONFLICT (cluster) DO NOTHING"
                if on
                else "DELETE FROM mirrors WHERE cluster = ?"
            )
            if unit.execute(sql, [cluster]).rowcount:
                word = "is" if on else "is no longer"
                unit.event("MirrorSet", f"cluster/{cluster}", f"its PlatformUpdate {word} kept")
                unit.audit(audit.Entry(actor, "set mirror", f"cluster/{cluster}", after=str(on).lower()))

    def mirrors(self) -> tuple[MirrorRow, ...]:
        rows = self._rows("SELECT cluster, written, written_at, problem FROM mirrors ORDER BY cluster")
        return tuple(
            MirrorRow(
                row["cluster"],
                json.loads(row["written"]) if row["written"] else None,
                row["written_at"],
                row["problem"],
            )
            for row in rows
        )

    def mirrored(self, cluster: str, written: Mapping[str, Any] | None, problem: str = "") -> None:
        """What a look at one cluster came to. Without `written`, what was written last is kept."""
        with self._unit() as unit:
            unit.execute("UPDATE mirrors SET problem = ? WHERE cluster = ?", [problem, cluster])
            if written is not None:
                unit.execute(
                    "UPDATE mirrors SET written = ?, written_at = ? WHERE cluster = ?",
                    [to_json(written), unit.at, cluster],
                )

    def propose(self, cluster: str, body: Mapping[str, Any], by: str) -> None:
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO proposals (cluster, body, by, seen_at) VALUES (?, ?, ?, ?)",
                [cluster, to_json(body), by, unit.at],
            )
            unit.execute(
                "UPDATE proposals SET closed_at = ? WHERE cluster = ? AND closed_at = '' AND id NOT IN"
                " (SELECT id FROM proposals WHERE cluster = ? ORDER BY id DESC LIMIT ?)",
                [unit.at, cluster, cluster, _MOST_OPEN],
            )
            what = f"somebody ({by or 'unknown'}) asks in the cluster for other {', '.join(sorted(body))}"
            unit.event("UpdateProposed", f"cluster/{cluster}", what, {"proposal": dict(body)})

    def proposals(self) -> tuple[Proposal, ...]:
        """Those nobody has closed, youngest first."""
        rows = self._rows(
            "SELECT id, cluster, body, by, seen_at FROM proposals WHERE closed_at = '' ORDER BY id DESC"
        )
        return tuple(Proposal(**{**dict(row), "body": json.loads(row["body"])}) for row in rows)

    def close_proposal(self, number: int, *, actor: str) -> None:
        with self._unit() as unit:
            closed = unit.execute(
                "UPDATE proposals SET closed_at = ? WHERE id = ? AND closed_at = ''", [unit.at, number]
            ).rowcount
            if not closed:
                raise OperatorError(f"there is no open proposal {number}", fix="see `cto update proposals`")
            unit.audit(audit.Entry(actor, "close proposal", f"proposals/{number}"))
