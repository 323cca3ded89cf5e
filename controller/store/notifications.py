"""Notifiers and their deliveries in the store. Sends nothing; secrets are sealed in their own table."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from controller.store import audit
from controller.store.base import StoreBase, iso
from controller.store.connection import to_json
from inventory.errors import OperatorError

_BATCH = 500  # events looked at in one transaction


@dataclass(frozen=True, slots=True)
class NotifierRow:
    name: str
    kind: str
    settings: Mapping[str, str]
    topics: tuple[str, ...]
    cursor: int
    problem: str
    waiting: int
    created_at: str


def receiver(settings: Mapping[str, str]) -> str:
    """Many services take whoever knows a webhook's path for its owner: the path is not shown."""
    try:
        url = urlsplit(settings.get("url", ""))
        port = f":{url.port}" if url.port else ""
    except ValueError:
        return ""
    return f"{url.scheme}://{url.hostname}{port}" if url.hostname else settings.get("to", "")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one receiver. `id` stays the same at every attempt."""

    notifier: str
    event: int
    id: str
    attempts: int
    at: str
    kind: str
    subject: str
    message: str


class NotificationsChapter(StoreBase):
    def put_notifier(
        self, name: str, kind: str, settings: Mapping[str, str], topics: tuple[str, ...], *, actor: str
    ) -> None:
        """A new one is told of what happens from now on; a changed one goes on where it was."""
        with self._unit() as unit:
            last = unit.one("SELECT coalesce(max(id), 0) AS id FROM events")
            unit.execute(
                "INSERT INTO notifiers (name, kind, settings, topics, cursor, actor, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET kind = excluded.kind,"
                " settings = excluded.settings, topics = excluded.topics, problem = ''",
                [name, kind, to_json(settings), " ".join(topics), last["id"] if last else 0, actor, unit.at],
            )
            unit.event("NotifierSet", "controller", f"{name} ({kind}) is told of {', '.join(topics)}")
            shown = f"{kind}: {receiver(settings)}"[:500]  # more people read the audit log than settings
            unit.audit(audit.Entry(actor, "set notifier", f"notifiers/{name}", after=shown))

    def drop_notifier(self, name: str, *, actor: str) -> None:
        with self._unit() as unit:
            if not unit.execute("DELETE FROM notifiers WHERE name = ?", [name]).rowcount:
                raise OperatorError(f"there is no notifier {name!r}", fix="see `cto notify list`")
            unit.execute("DELETE FROM deliveries WHERE notifier = ?", [name])
            unit.execute("DELETE FROM secrets WHERE name = ?", [f"notify/{name}"])
            unit.event("NotifierDropped", "controller", f"{name} is told of nothing any more")
            unit.audit(audit.Entry(actor, "drop notifier", f"notifiers/{name}"))

    def notifiers(self) -> tuple[NotifierRow, ...]:
        rows = self._rows(
            "SELECT n.name, n.kind, n.settings, n.topics, n.cursor, n.problem, n.created_at,"
            " (SELECT count(*) FROM deliveries d WHERE d.notifier = n.name AND d.state = 'waiting')"
            " AS waiting FROM notifiers n ORDER BY n.name"
        )
        return tuple(
            NotifierRow(
                **{
                    **dict(row),
                    "settings": json.loads(row["settings"]),
                    "topics": tuple(row["topics"].split()),
                }
            )
            for row in rows
        )

    def note_deliveries(self, topic_of: Callable[[str], str], new_id: Callable[[], str]) -> int:
        """A delivery of each event since the cursor that somebody is to be told of; returns how many."""
        made = 0
        for row in self.notifiers():
            events = self._rows(
                "SELECT id, at, kind FROM events WHERE id > ? ORDER BY id LIMIT ?", [row.cursor, _BATCH]
            )
            if not events:
                continue
            wanted = [event for event in events if topic_of(event["kind"]) in row.topics]
            with self._unit() as unit:
                for event in wanted:
                    made += unit.execute(
                        "INSERT INTO deliveries (notifier, event, id, state, due_at)"
                        " VALUES (?, ?, ?, 'waiting', ?) ON CONFLICT (notifier, event) DO NOTHING",
                        [row.name, event["id"], new_id(), unit.at],
                    ).rowcount
                unit.execute("UPDATE notifiers SET cursor = ? WHERE name = ?", [events[-1]["id"], row.name])
        return made

    def due_deliveries(self, now: datetime, limit: int = 20) -> tuple[Delivery, ...]:
        rows = self._rows(
            "SELECT d.notifier, d.event, d.id, d.attempts, e.at, e.kind, e.subject, e.message"
            " FROM deliveries d JOIN events e ON e.id = d.event"
            " WHERE d.state = 'waiting' AND d.due_at <= ? ORDER BY d.due_at, d.event LIMIT ?",
            [iso(now), limit],
        )
        return tuple(Delivery(**dict(row)) for row in rows)

    def delivered(self, delivery: Delivery) -> None:
        with self._unit() as unit:
            unit.execute(
                "UPDATE deliveries SET state = 'sent', attempts = attempts + 1, done_at = ?, problem = ''"
                " WHERE id = ?",
                [unit.at, delivery.id],
            )
            unit.execute("UPDATE notifiers SET problem = '' WHERE name = ?", [delivery.notifier])

    def not_delivered(self, delivery: Delivery, problem: str, again: datetime | None) -> None:
        """`again`: when it is tried next; None to give it up, which is an event itself."""
        state, due = ("given-up", "") if again is None else ("waiting", iso(again))
        with self._unit() as unit:
            unit.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, due_at = ?, problem = ?,"
                " done_at = iif(? = 'given-up', ?, '') WHERE id = ?",
                [state, due, problem, state, unit.at, delivery.id],
            )
            unit.execute("UPDATE notifiers SET problem = ? WHERE name = ?", [problem, delivery.notifier])
            if again is None:
                what = f"{delivery.notifier} was not told of {delivery.kind} {delivery.subject}: {problem}"
                unit.event("NotificationLost", "controller", what)
