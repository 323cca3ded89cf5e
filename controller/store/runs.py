"""Runs (what somebody asked for) with their plans, and the engine that takes them one by one."""

from collections.abc import Mapping
from typing import Any, Literal

from controller.store import audit
from controller.store.base import StoreBase
from controller.store.connection import to_json
from controller.store.home import BALLAST_BYTES
from controller.store.rows import RunRow, run_row
from inventory.errors import InvariantError, OperatorError, RefusedError

_OVER = ("done", "failed", "partly", "cancelled")


class RunsChapter(StoreBase):
    def start_engine(self, pid: int, *, ballast: int = BALLAST_BYTES) -> int:
        """This process acts from now on: a new epoch, carried by every intent. Its caller has the lock."""
        self.home.reserve_ballast(ballast)
        self._ballast = ballast
        with self._unit() as unit:
            row = unit.execute(
                "UPDATE meta SET epoch = epoch + 1, engine_pid = ?, engine_since = ? RETURNING epoch",
                [pid, unit.at],
            ).fetchone()
            self.epoch = row["epoch"]
            unit.event(
                "EngineStarted",
                "controller",
                f"engine {self.epoch} started",
                {"pid": pid, "epoch": self.epoch},
            )
        return self.epoch

    def stop_engine(self) -> None:
        with self._unit() as unit:
            unit.execute("UPDATE meta SET engine_pid = 0, engine_since = '' WHERE epoch = ?", [self.epoch])
            unit.event("EngineStopped", "controller", f"engine {self.epoch} stopped", {"epoch": self.epoch})
        self._ballast = 0

    def queue_run(
        self, kind: str, selection: Mapping[str, Any], *, actor: str, options: Mapping[str, Any] | None = None
    ) -> str:
        """Asks the engine, whoever it is, for a run. Returns its id."""
        run_id = self._new_id()
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO runs (id, kind, state, selection, options, actor, queued_at)"
                " VALUES (?, ?, 'queued', ?, ?, ?, ?)",
                [run_id, kind, to_json(selection), to_json(options or {}), actor, unit.at],
            )
            unit.event(
                "RunQueued", f"run/{run_id}", f"{kind} queued", {"kind": kind, "selection": dict(selection)}
            )
            unit.audit(
                audit.Entry(actor, f"queue {kind}", f"run/{run_id}", after=to_json(selection), run=run_id)
            )
        return run_id

    def next_run(self) -> RunRow | None:
        """Claims the oldest queued run for this engine."""
        if self._row("SELECT 1 FROM runs WHERE state = 'queued'") is None:
            return None
        with self._unit() as unit:
            row = unit.one(
                "UPDATE runs SET state = 'running', started_at = ?, epoch = ? WHERE id ="
                " (SELECT id FROM runs WHERE state = 'queued' ORDER BY queued_at, rowid LIMIT 1) RETURNING *",
                [unit.at, self.epoch],
            )
            if row is not None:
                unit.event("RunStarted", f"run/{row['id']}", f"{row['kind']} started")
        return run_row(row) if row is not None else None

    def interrupted_runs(self) -> tuple[RunRow, ...]:
        """Claimed by an engine that is gone. Their open steps are in `open_steps`."""
        rows = self._rows(
            "SELECT * FROM runs WHERE state = 'running' AND epoch < ? ORDER BY rowid", [self.epoch]
        )
        return tuple(map(run_row, rows))

    def requeue(self, run_id: str) -> None:
        """Puts an interrupted run back, so that `next_run` gives it out again, before younger ones."""
        with self._unit() as unit:
            put = unit.execute(
                "UPDATE runs SET state = 'queued' WHERE id = ? AND state = 'running'", [run_id]
            )
            if put.rowcount == 1:
                unit.event("RunQueued", f"run/{run_id}", "interrupted; queued again")

    def get_run(self, run_id: str) -> RunRow:
        row = self._row("SELECT * FROM runs WHERE id = ?", [run_id])
        if row is None:
            raise _no_run(run_id)
        return run_row(row)

    def finish_run(
        self,
        run_id: str,
        state: Literal["done", "failed", "partly", "cancelled"],
        summary: Mapping[str, Any],
    ) -> None:
        with self._unit() as unit:
            row = unit.one("SELECT kind, state, actor FROM runs WHERE id = ?", [run_id])
            if row is None or row["state"] in _OVER:
                raise InvariantError(f"run {run_id} can't end twice", fix="report this: it is our bug")
            unit.execute(
                "UPDATE runs SET state = ?, finished_at = ?, summary = ? WHERE id = ?",
                [state, unit.at, to_json(summary), run_id],
            )
            unit.event("RunFinished", f"run/{run_id}", f"{row['kind']}: {state}", {"state": state, **summary})
            unit.audit(
                audit.Entry(
                    "engine", f"finish {row['kind']}", f"run/{run_id}", row["state"], state, run=run_id
                )
            )

    def cancel_run(self, run_id: str, *, actor: str, reason: str) -> None:
        """A queued run ends here; a running one is asked to stop at the next safe point."""
        with self._unit() as unit:
            row = unit.one("SELECT state FROM runs WHERE id = ?", [run_id])
            if row is None:
                raise _no_run(run_id)
            if row["state"] in _OVER:
                raise RefusedError(f"run {run_id} is over ({row['state']})", fix="there is nothing to cancel")
            asked = reason or "no reason given"
            unit.execute("UPDATE runs SET cancel = ? WHERE id = ?", [asked, run_id])
            if row["state"] == "queued":
                unit.execute(
                    "UPDATE runs SET state = 'cancelled', finished_at = ? WHERE id = ?", [unit.at, run_id]
                )
            unit.event("CancelRequested", f"run/{run_id}", asked)
            unit.audit(
                audit.Entry(actor, "cancel", f"run/{run_id}", before=row["state"], reason=reason, run=run_id)
            )

    def requested_cancel(self, run_id: str) -> str:
        """The reason, if somebody asked to cancel the run; else empty. Cheap enough to ask between steps."""
        row = self._row("SELECT cancel FROM runs WHERE id = ?", [run_id])
        return str(row["cancel"]) if row else ""

    def save_plan(self, run_id: str, digest: str, body: Mapping[str, Any]) -> None:
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO plans (run, digest, body, made_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (run) DO UPDATE SET"
                " digest = excluded.digest, body = excluded.body, made_at = excluded.made_at",
                [run_id, digest, to_json(body), unit.at],
            )
            unit.event("PlanMade", f"run/{run_id}", f"plan {digest[:12]}", {"digest": digest})
            unit.audit(audit.Entry("engine", "plan", f"run/{run_id}", after=digest, run=run_id))


def _no_run(run_id: str) -> OperatorError:
    return OperatorError(f"there is no run {run_id!r}", fix="see `cto status` for the runs that are known")
