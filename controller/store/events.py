"""Events and facts in the store. Facts keep their history; equal facts only move the time of last sight."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from controller.store.base import StoreBase, Unit
from controller.store.connection import to_json
from inventory.errors import CheckFailed
from web.ports import EventView

_MAX_FACTS = 1024 * 1024  # bytes of one snapshot; a node is untrusted input
_KEPT_FACTS = 100  # snapshots of one node


class EventsChapter(StoreBase):
    def event(self, kind: str, subject: str, message: str, data: Mapping[str, Any] | None = None) -> int:
        """Tells what happened to "node/…", "cluster/…", "run/…" or "controller". Returns the event's id."""
        with self._unit() as unit:
            return unit.event(kind, subject, message, data)

    def events(self, after: int = 0, limit: int = 500) -> tuple[EventView, ...]:
        rows = self._rows("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", [after, limit])
        return tuple(EventView(**{**dict(row), "data": json.loads(row["data"])}) for row in rows)

    def save_facts(self, node: str, body: Mapping[str, Any], digest: str) -> bool:
        """True if they differ from the last ones."""
        return self.save_all_facts([(node, body, digest)])[0]

    def save_all_facts(self, taken: Sequence[tuple[str, Mapping[str, Any], str]]) -> list[bool]:
        """(node, body, digest) of several, in one transaction; each node was seen now. As `save_facts`."""
        texts = [_text(node, body) for node, body, _ in taken]
        if not texts:
            return []
        with self._unit() as unit:
            unit.connection.executemany(
                "UPDATE nodes SET seen_at = ? WHERE name = ?", [(unit.at, node) for node, _, _ in taken]
            )
            return [
                _save(unit, node, text, digest) for (node, _, digest), text in zip(taken, texts, strict=True)
            ]

    def facts(self, node: str, limit: int = 2) -> tuple[Mapping[str, Any], ...]:
        """Newest first: taken_at, last_seen, digest and body."""
        rows = self._rows(
            "SELECT taken_at, last_seen, digest, body FROM facts WHERE node = ? ORDER BY id DESC LIMIT ?",
            [node, limit],
        )
        return tuple({**dict(row), "body": json.loads(row["body"])} for row in rows)


def _text(node: str, body: Mapping[str, Any]) -> str:
    text = to_json(body)
    if len(text) > _MAX_FACTS:
        raise CheckFailed(
            f"its facts take {len(text)} bytes, more than {_MAX_FACTS}",
            where=f"node/{node}",
            fix="look at the machine: no real hardware says that much",
        )
    return text


def _save(unit: Unit, node: str, text: str, digest: str) -> bool:
    last = unit.one("SELECT id, digest FROM facts WHERE node = ? ORDER BY id DESC LIMIT 1", [node])
    if last is not None and last["digest"] == digest:
        unit.execute("UPDATE facts SET last_seen = ?, body = ? WHERE id = ?", [unit.at, text, last["id"]])
        return False
    unit.execute(
        "INSERT INTO facts (node, taken_at, last_seen, digest, body) VALUES (?, ?, ?, ?, ?)",
        [node, unit.at, unit.at, digest, text],
    )
    if last is not None:
        unit.execute(
            "DELETE FROM facts WHERE node = ? AND id NOT IN"
            " (SELECT id FROM facts WHERE node = ? ORDER BY id DESC LIMIT ?)",
            [node, node, _KEPT_FACTS],
        )
    message = "facts changed" if last is not None else "first facts"
    unit.event("FactsTaken", f"node/{node}", message, {"digest": digest})
    return True
