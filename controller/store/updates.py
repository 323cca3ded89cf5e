"""The release feed in the store: its source, the floors below which nothing is accepted, known releases.

Verifies nothing: what comes here was verified. Floors only rise, but for a role whose keys were exchanged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.store import audit
from controller.store.base import StoreBase, Unit


@dataclass(frozen=True, slots=True)
class Feed:
    url: str
    channel: str
    root: str  # JSON text
    checked_at: str
    set_at: str = ""
    every_hours: int = 24  # between looks that the controller takes by itself; 0: none
    tried_at: str = ""  # when it last tried to, well or not
    problem: str = ""  # why that failed; empty: it did not


@dataclass(frozen=True, slots=True)
class RoleFloor:
    version: int
    keys: str  # ids, sorted, joined by a blank


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    channel: str
    name: str
    body: str  # the document as it was signed
    seen_at: str
    staged_at: str


class UpdatesChapter(StoreBase):
    def set_feed(self, url: str, channel: str, root: str, *, actor: str, reason: str) -> None:
        """Another publisher's feed begins anew: floors and releases of the one before are forgotten."""
        with self._unit() as unit:
            before = unit.one("SELECT url, root FROM feed")
            if before is None or before["root"] != root:
                for table in ("feed_floors", "releases", "channel_floors"):
                    unit.execute(f"DELETE FROM {table}")  # noqa: S608 -- constants
            unit.execute(
                "INSERT INTO feed (id, url, channel, root, actor, set_at) VALUES (1, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET url = excluded.url, channel = excluded.channel,"
                " root = excluded.root, actor = excluded.actor, set_at = excluded.set_at, checked_at = '',"
                " tried_at = '', problem = ''",
                [url, channel, root, actor, unit.at],
            )
            unit.event("FeedSet", "controller", f"releases come from {url}, channel {channel}")
            was = str(before["url"]) if before else ""
            unit.audit(audit.Entry(actor, "set feed", "feed", before=was, after=url, reason=reason))

    def feed(self) -> Feed | None:
        row = self._row(
            "SELECT url, channel, root, checked_at, set_at, every_hours, tried_at, problem FROM feed"
        )
        return Feed(**dict(row)) if row else None

    def schedule_feed(self, hours: int, *, actor: str) -> None:
        """How often the controller looks by itself; 0: never. Its last problem is forgotten."""
        with self._unit() as unit:
            before = unit.one("SELECT every_hours FROM feed")
            unit.execute("UPDATE feed SET every_hours = ?, problem = ''", [hours])
            was = f"every {before['every_hours']} h" if before else ""
            unit.audit(audit.Entry(actor, "schedule feed", "feed", before=was, after=f"every {hours} h"))

    def note_look(self, problem: str) -> None:
        """A look that the controller took by itself. People are told of a problem once, not at each try."""
        with self._unit() as unit:
            before = unit.one("SELECT problem FROM feed")
            unit.execute("UPDATE feed SET tried_at = ?, problem = ?", [unit.at, problem[:500]])
            if problem and before is not None and before["problem"] != problem[:500]:
                unit.event("FeedLookFailed", "controller", f"the release feed: {problem[:500]}")

    def feed_floors(self) -> dict[str, RoleFloor]:
        rows = self._rows("SELECT role, version, keys FROM feed_floors")
        return {row["role"]: RoleFloor(row["version"], row["keys"]) for row in rows}

    def channel_floor(self, channel: str) -> int:
        row = self._row("SELECT floor FROM channel_floors WHERE channel = ?", [channel])
        return int(row["floor"]) if row else 0

    def accept_feed(
        self, floors: Mapping[str, RoleFloor], releases: Iterable[ReleaseRow], channels: Mapping[str, int]
    ) -> list[str]:
        """What a whole, verified look at the feed brought; returns what is new in the followed channel."""
        with self._unit() as unit:
            for role, floor in floors.items():
                unit.execute(
                    "INSERT INTO feed_floors (role, version, keys) VALUES (?, ?, ?)"
                    " ON CONFLICT (role) DO UPDATE SET version = excluded.version, keys = excluded.keys",
                    [role, floor.version, floor.keys],
                )
            for channel, number in channels.items():
                unit.execute(
                    "INSERT INTO channel_floors (channel, floor) VALUES (?, ?) ON CONFLICT (channel)"
                    " DO UPDATE SET floor = max(channel_floors.floor, excluded.floor)",
                    [channel, number],
                )
            followed = unit.one("SELECT channel FROM feed")
            offered = {(row.channel, row.name): row for row in releases}
            for gone in unit.execute("SELECT channel, name FROM releases").fetchall():
                if (gone["channel"], gone["name"]) not in offered:  # its publisher took it back
                    unit.execute("DELETE FROM releases WHERE channel = ? AND name = ?", [*gone])
            fresh = [row for row in offered.values() if _put(unit, row)]
            new = [row.name for row in fresh if followed and row.channel == followed["channel"]]
            unit.execute("UPDATE feed SET checked_at = ?, problem = ''", [unit.at])
            for name in new:
                unit.event("ReleaseSeen", "controller", f"{name} is available")
        return new

    def releases(self, channel: str) -> tuple[ReleaseRow, ...]:
        rows = self._rows(
            "SELECT channel, name, body, seen_at, staged_at FROM releases WHERE channel = ? ORDER BY name",
            [channel],
        )
        return tuple(ReleaseRow(**dict(row)) for row in rows)

    def note_staged(self, channel: str, name: str, *, actor: str, sha256: Iterable[str]) -> None:
        with self._unit() as unit:
            unit.execute(
                "UPDATE releases SET staged_at = ? WHERE channel = ? AND name = ?", [unit.at, channel, name]
            )
            unit.event("ReleaseStaged", "controller", f"{name} of {channel} lies ready")
            unit.audit(
                audit.Entry(
                    actor, "stage release", f"releases/{channel}/{name}", after=" ".join(sha256)[:500]
                )
            )

    def forget_staged(self, channel: str, name: str) -> None:
        """Its files are others now, or not there any more."""
        with self._unit() as unit:
            unit.execute("UPDATE releases SET staged_at = '' WHERE channel = ? AND name = ?", [channel, name])


def _put(unit: Unit, row: ReleaseRow) -> bool:
    """A document that changed under its name is not ready any more."""
    known = unit.one("SELECT body FROM releases WHERE channel = ? AND name = ?", [row.channel, row.name])
    if known is not None and known["body"] == row.body:
        return False
    unit.execute(
        "INSERT INTO releases (channel, name, body, seen_at) VALUES (?, ?, ?, ?) ON CONFLICT (channel, name)"
        " DO UPDATE SET body = excluded.body, seen_at = excluded.seen_at, staged_at = ''",
        [row.channel, row.name, row.body, unit.at],
    )
    return known is None
