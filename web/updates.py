"""Updates: what the feed offers, what lies ready, what runs, what people propose. Installs nothing.

What is to be done is a command to copy: taking a release over is a rollout, planned on a terminal.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from inventory.errors import UnknownName
from web import present
from web.access.grants import Level
from web.access.guard import need
from web.lists import Column, Link, Seen, export, listing
from web.ports import Queries
from web.present import Badge
from web.updates_port import FeedView, MirrorView, ProposalView, ReleaseView, Updates

SOON = timedelta(days=1)  # the shortest part of a feed's metadata is often good for a few days only
LOOK_AGAIN = timedelta(days=7)
BADGES = {
    "ready": Badge("good", "lies ready"),
    "not-staged": Badge("idle", "not staged"),
    "withdrawn": Badge("bad", "withdrawn"),
}


@dataclass(frozen=True, slots=True)
class End:
    what: str
    until: str
    badge: Badge


@dataclass(frozen=True, slots=True)
class Running:
    """How many have which version now."""

    what: str
    version: str
    number: int


def make(updates: Updates, queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("updates", __name__, url_prefix="/updates")

    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        found = updates.releases()
        saved = export(found, COLUMNS, "releases")
        if saved is not None:
            return saved
        feed, now = updates.feed(), clock()
        proposals, mirrors = visible(updates, queries)
        return render_template(
            "updates.html",
            feed=feed,
            looked=look_badge(feed, now),
            ends=ends(feed, now),
            running=running(queries),
            proposals=proposals,
            troubled=[each for each in mirrors if each.problem],
            mirrors=mirrors,
            listing=listing(found, COLUMNS, command="cto update list"),
        )

    @blueprint.get("/<name>")
    @need(Level.VIEWER)
    def one(name: str) -> ResponseReturnValue:
        release = release_named(name, updates)
        return render_template("release.html", release=release, badge=BADGES[release.state])

    return blueprint


def release_named(name: str, updates: Updates) -> ReleaseView:
    for each in updates.releases():
        if each.name == name:
            return each
    raise UnknownName(f"there is no release {name[:60]!r} in this channel", fix="see the list of releases")


def visible(updates: Updates, queries: Queries) -> tuple[list[ProposalView], list[MirrorView]]:
    """Of clusters that the visitor may see."""
    names = {cluster.name for cluster in queries.clusters()}
    return (
        [each for each in updates.proposals() if each.cluster in names],
        [each for each in updates.mirrors() if each.cluster in names],
    )


def look_badge(feed: FeedView | None, now: datetime) -> Badge:
    """How long ago somebody looked: an old look says nothing of what there is now."""
    if feed is None:
        return Badge("idle", "no publisher is trusted")
    seconds = present.age_seconds(feed.checked_at, now)
    if seconds is None:
        return Badge("unknown", "never looked at")
    age = f"looked at {present.age(feed.checked_at, now)}"
    return Badge("good", age) if seconds < LOOK_AGAIN.total_seconds() else Badge("unknown", f"{age}, old")


def ends(feed: FeedView | None, now: datetime) -> list[End]:
    """The parts of the feed's metadata, what ends first at the top."""
    if feed is None:
        return []
    parts = sorted(feed.ends.items(), key=lambda part: part[1])
    return [End(what, until, _end_badge(until, now)) for what, until in parts]


def _end_badge(until: str, now: datetime) -> Badge:
    end = present.parse_time(until)
    if end is None:
        return Badge("unknown", "not known")
    if end <= now:
        return Badge("bad", "ended")
    return Badge("warn", "ends soon") if end - now < SOON else Badge("good", "holds")


def running(queries: Queries) -> list[Running]:
    """Versions as they were seen; a node that was never seen has none."""
    talos = Counter(node.talos.removeprefix("v") for node in queries.nodes() if node.talos)
    kubernetes = Counter(cluster.kubernetes for cluster in queries.clusters() if cluster.kubernetes)
    return [*_counted("Talos", talos), *_counted("Kubernetes", kubernetes)]


def _counted(what: str, found: Counter[str]) -> Sequence[Running]:
    return [Running(what, version, number) for version, number in sorted(found.items(), reverse=True)]


COLUMNS: list[Column[ReleaseView]] = [
    Column("name", "Release", lambda r: Link(r.name, url_for("updates.one", name=r.name))),
    Column("kind", "Kind", lambda r: r.kind, True),
    Column("version", "Version", lambda r: r.version, order=lambda r: r.counter),
    Column("from", "From", lambda r: ", ".join(r.upgrades) or "any"),
    Column("state", "State", lambda r: BADGES[r.state], True),
    Column("seen", "Known since", lambda r: Seen(r.seen_at, stale=False), order=lambda r: r.seen_at),
    Column("notes", "Notes", lambda r: first_line(r.notes)),
]


def first_line(notes: str) -> str:
    """Without the marks of a heading, and short."""
    line = next((line.strip("# ") for line in notes.splitlines() if line.strip("# ")), "")
    return line if len(line) <= 100 else f"{line[:99]}…"
