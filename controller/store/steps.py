"""Write intent → act → observe → record: `begin` before an effect, `finish` after it was observed.

Each is one transaction with its event and audit row. What the effect is, and how it is observed, is not
known here.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.store import audit
from controller.store.base import TABLES, StoreBase, Unit, find
from controller.store.connection import DiskFullError, to_json
from controller.store.rows import Outcome, Step, StepRef, step_row
from inventory.errors import BusyError, InvariantError, RefusedError
from inventory.lifecycle import (
    CLUSTER_ACTS,
    CLUSTER_TRANSITIONS,
    NODE_TRANSITIONS,
    ClusterState,
    NodeState,
    advance,
    advance_cluster,
)

_ALL = (*NODE_TRANSITIONS, *CLUSTER_TRANSITIONS, *CLUSTER_ACTS)
_HARMLESS = frozenset(t.step for t in _ALL if not t.disruptive)
_TITLES = {t.step: t.title for t in _ALL}
# The events that other parts wait for, beside StepFinished.
_MILESTONES = {"bootstrap": "ClusterBootstrapped", "verify": "Verified", "verify-cluster": "Verified"}


@dataclass(frozen=True, slots=True)
class _Ending:
    outcome: Outcome
    detail: Mapping[str, Any]
    record: Mapping[str, Any]
    advances: bool
    problem: str
    actor: str


class StepsChapter(StoreBase):
    def begin(self, ref: StepRef, *, detail: Mapping[str, Any], actor: str = "engine") -> Step:
        """Records that `ref` starts now. After this returns, the effect may happen.

        Raises BusyError if a newer engine has started, RefusedError while only observing is allowed, and
        StoreError if the disk has no room left to record how the step ends.
        """
        if self._ballast:
            self.home.reserve_ballast(self._ballast)
        with self._unit() as unit:
            _may_act(unit, ref)
            step = Step(
                id=self._new_id(),
                ref=ref,
                attempt=_next_attempt(unit, ref),
                epoch=self.epoch,
                outcome="started",
                started_at=unit.at,
                detail=detail,
            )
            _insert(unit, step)
            _delete_progress(unit, ref.path)
            about = {"step": ref.step, "attempt": step.attempt, "run": ref.run}
            unit.event("StepStarted", ref.path, _TITLES.get(ref.step, ref.step), about)
            unit.audit(
                audit.Entry(
                    actor, f"begin {ref.step}", ref.path, run=ref.run, after=f"attempt {step.attempt}"
                )
            )
        return step

    def finish(
        self,
        step: Step,
        *,
        outcome: Outcome,
        detail: Mapping[str, Any],
        record: Mapping[str, Any] | None = None,
        advance: bool = True,
        problem: str = "",
        actor: str = "engine",
    ) -> None:
        """Records how `step` ended. Done and `advance`: the state follows the table of the life cycle.

        `record` is merged into the record of the node or cluster. `problem` says why it failed and what to
        do; without it, the detail's `what` and `fix` do.
        """
        text = "" if outcome == "done" else problem or _problem_of(detail)
        ending = _Ending(outcome, detail, record or {}, advance, text, actor)
        try:
            self._finish(step, ending)
        except DiskFullError:
            # The space was set aside for exactly this: to record the end of what is under way.
            if not self.home.release_ballast():
                raise
            self._finish(step, ending)

    def _finish(self, step: Step, ending: _Ending) -> None:
        ref = step.ref
        with self._unit() as unit:
            closed = unit.execute(
                "UPDATE steps SET outcome = ?, finished_at = ?, detail = ?"
                " WHERE id = ? AND outcome = 'started'",
                [ending.outcome, unit.at, to_json({**step.detail, **ending.detail}), step.id],
            )
            if closed.rowcount != 1:
                raise InvariantError(
                    f"step {ref.step!r} of {ref.path} is not open", fix="report this: it is our bug"
                )
            before, after = _follow(unit, ref, moves=ending.outcome == "done" and ending.advances)
            _write_back(unit, ref, after, ending)
            _tell(unit, step, ending, after)
            action = f"finish {ref.step}: {ending.outcome}"
            unit.audit(audit.Entry(ending.actor, action, ref.path, before=before, after=after, run=ref.run))

    def open_steps(self, run: str | None = None) -> tuple[Step, ...]:
        """Begun and not finished: after a crash, these are observed before anything else happens."""
        rows = self._rows(
            "SELECT * FROM steps WHERE outcome = 'started' AND ? IN ('', run) ORDER BY started_at, id",
            [run or ""],
        )
        return tuple(map(step_row, rows))

    def steps(self, subject: str) -> tuple[Step, ...]:
        """Every attempt at every step of "node/…" or "cluster/…", oldest first."""
        kind, _, name = subject.partition("/")
        rows = self._rows("SELECT * FROM steps WHERE kind = ? AND subject = ? ORDER BY rowid", [kind, name])
        return tuple(map(step_row, rows))

    def progress(self, subject: str, step: str, done: int, total: int) -> None:
        """How far the running step of "node/…" is. Cheap, and may be lost with the power."""
        self._loosely(
            "INSERT INTO progress (subject, step, done, total, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (subject) DO UPDATE SET"
            " step = excluded.step, done = excluded.done, total = excluded.total, at = excluded.at",
            [subject, step, done, total, self._stamp()],
        )


def _may_act(unit: Unit, ref: StepRef) -> None:
    meta = unit.one("SELECT epoch, observe_only FROM meta")
    if meta is None or meta["epoch"] != unit.epoch:
        raise BusyError(
            "a newer engine has taken over this fleet",
            where=ref.path,
            fix="this one stops; follow the other with `cto events --follow`",
        )
    if meta["observe_only"] and ref.step not in _HARMLESS:
        raise RefusedError(
            "after a restore nothing is changed until every node was read",
            where=ref.path,
            fix="run `cto apply`, which reads them first",
        )
    if find(unit, ref.kind, ref.subject) is None:
        raise InvariantError(f"{ref.path} is not in the store", fix="declare or pin it first")


def _next_attempt(unit: Unit, ref: StepRef) -> int:
    """Counts on until the step is done; a later life of the node starts with 1 again."""
    last = unit.one(
        "SELECT attempt, outcome FROM steps WHERE kind = ? AND subject = ? AND step = ?"
        " ORDER BY rowid DESC LIMIT 1",
        [ref.kind, ref.subject, ref.step],
    )
    return 1 if last is None or last["outcome"] == "done" else last["attempt"] + 1


def _insert(unit: Unit, step: Step) -> None:
    ref = step.ref
    try:
        unit.execute(
            "INSERT INTO steps (id, run, kind, subject, step, attempt, epoch, outcome, started_at, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(step.id, ref.run, ref.kind, ref.subject, ref.step),
                *(step.attempt, step.epoch, step.outcome, step.started_at, to_json(step.detail)),
            ],
        )
    except sqlite3.IntegrityError as error:
        raise InvariantError(
            f"{ref.path} can't begin {ref.step!r}: it has an open step, or run {ref.run!r} is not known",
            fix="report this: it is our bug (an open step must be observed and finished first)",
        ) from error


def _delete_progress(unit: Unit, subject: str) -> None:
    unit.execute("DELETE FROM progress WHERE subject = ?", [subject])


def _follow(unit: Unit, ref: StepRef, *, moves: bool) -> tuple[str, str]:
    """The state before and after; `inventory.lifecycle` alone knows the way."""
    row = find(unit, ref.kind, ref.subject)
    if row is None:
        raise InvariantError(f"{ref.path} is not in the store", fix="report this: it is our bug")
    before: str = row["state"]
    if not moves:
        return before, before
    if ref.kind == "node":
        return before, advance(NodeState(before), ref.step)
    return before, advance_cluster(ClusterState(before), ref.step)


def _write_back(unit: Unit, ref: StepRef, state: str, ending: _Ending) -> None:
    # A cancelled step says nothing about the machine, so the problem that stands is left.
    problem = None if ending.outcome == "cancelled" else ending.problem
    unit.execute(
        f"UPDATE {TABLES[ref.kind]} SET changed_at = iif(state = ?, changed_at, ?), state = ?,"  # noqa: S608 -- one of TABLES
        " problem = coalesce(?, problem), record = json_patch(record, ?) WHERE name = ?",
        [state, unit.at, state, problem, to_json(ending.record), ref.subject],
    )
    if ref.kind == "cluster" and ref.step == "verify-cluster" and ending.outcome == "done":
        unit.execute("UPDATE clusters SET verified_at = ? WHERE name = ?", [unit.at, ref.subject])


def _tell(unit: Unit, step: Step, ending: _Ending, state: str) -> None:
    ref, outcome = step.ref, ending.outcome
    about = {"step": ref.step, "attempt": step.attempt, "run": ref.run, "outcome": outcome, "state": state}
    title = _TITLES.get(ref.step, ref.step)
    if outcome != "done":
        unit.event("StepFailed", ref.path, f"{title}: {ending.problem or outcome}", about)
        return
    unit.event("StepFinished", ref.path, title, about)
    if ref.step in _MILESTONES:
        unit.event(_MILESTONES[ref.step], ref.path, title, about)


def _problem_of(detail: Mapping[str, Any]) -> str:
    what, fix = str(detail.get("what", "")), str(detail.get("fix", ""))
    return f"{what}\n  → {fix}" if what and fix else what
