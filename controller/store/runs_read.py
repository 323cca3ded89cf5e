"""Runs as they are read, the youngest first. Writes nothing."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inventory.errors import UnknownName
from web.ports import RunView

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]


def views(rows: Rows, limit: int, before: str = "") -> tuple[RunView, ...]:
    """Of those older than `before`."""
    older = " WHERE rowid < (SELECT rowid FROM runs WHERE id = ?)" if before else ""
    values = [view(rows, before).id, limit] if before else [limit]
    found = rows(f"SELECT * FROM runs{older} ORDER BY rowid DESC LIMIT ?", values)  # noqa: S608 -- constants
    return tuple(map(_run_view, found))


def view(rows: Rows, run_id: str) -> RunView:
    found = rows("SELECT * FROM runs WHERE id = ?", [run_id])
    if not found:
        raise UnknownName(f"there is no run {run_id!r}", fix="see `cto status` for the runs that are known")
    return _run_view(found[0])


def plan(rows: Rows, run_id: str) -> Mapping[str, Any] | None:
    """With its digest, once it was made."""
    found = rows("SELECT digest, body, made_at FROM plans WHERE run = ?", [run_id])
    return {**dict(found[0]), "body": json.loads(found[0]["body"])} if found else None


def _run_view(row: sqlite3.Row) -> RunView:
    return RunView(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        selection=selection_text(json.loads(row["selection"])),
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        summary=json.loads(row["summary"]),
    )


def selection_text(selection: Mapping[str, Any]) -> str:
    """As an operator would say it: "sites berlin, munich; labels rack=7", or "everything"."""
    parts = [(name, _words(value)) for name, value in selection.items() if value]
    return "; ".join(f"{name} {words}" for name, words in parts) or "everything"


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
