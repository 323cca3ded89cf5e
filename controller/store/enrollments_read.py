"""Reads the tables of enrolment, for the writer's connection and for the readers' alike."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from controller.store.lock import alive
from web.ports import EnrollmentView, EnrollWindowView, RefusalView

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]


def enrollments(rows: Rows, states: Sequence[str] = ()) -> tuple[EnrollmentView, ...]:
    """Those that wait first, then the youngest; of all states if none is named."""
    found = rows("SELECT * FROM enrollments ORDER BY state <> 'pending', first_at DESC, id", [])
    return tuple(map(view, (row for row in found if not states or row["state"] in states)))


def view(row: sqlite3.Row) -> EnrollmentView:
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118 -- a Row yields its values
    return EnrollmentView(**{**values, "hardware": json.loads(row["hardware"])})


def refusals(rows: Rows) -> tuple[RefusalView, ...]:
    """The latest first."""
    found = rows("SELECT * FROM enrollment_refusals ORDER BY last_at DESC, reason, address, token", [])
    return tuple(RefusalView(**dict(row)) for row in found)


def window(rows: Rows) -> EnrollWindowView | None:
    """The last time that enrolment was opened."""
    kept = rows("SELECT * FROM enrollment_window", [])
    if not kept:
        return None
    row = dict(kept[0])
    del row["id"]
    lists = {name: tuple(json.loads(row[name])) for name in ("interfaces", "endpoints", "rivals")}
    found = EnrollWindowView(**{**row, **lists})
    if found.pid and not alive(found.pid):  # it was killed, and could not say so
        return replace(found, endpoints=(), pid=0)
    return found


def expected(rows: Rows, site: str = "") -> Mapping[str, Mapping[str, str]]:
    """Node → what the site file says of its machine; of one site, or of all."""
    sql, of_site = (
        "SELECT node, kind, value FROM expected_hardware",
        " WHERE node IN (SELECT name FROM nodes WHERE site = ?)",
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows(f"{sql}{of_site if site else ''} ORDER BY node, kind", [site] if site else []):
        found.setdefault(row["node"], {})[row["kind"]] = row["value"]
    return found


class _HasRows(Protocol):
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]: ...


class EnrollmentQueries:
    """The part of `web.ports.Queries` that is about enrolment, for whoever has `rows`."""

    def enrollments(self: _HasRows, states: Sequence[str] = ()) -> Sequence[EnrollmentView]:
        return enrollments(self.rows, states)

    def enrollment_refusals(self: _HasRows) -> Sequence[RefusalView]:
        return refusals(self.rows)

    def enrollment_window(self: _HasRows) -> EnrollWindowView | None:
        return window(self.rows)
