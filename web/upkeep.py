"""Settings that concern the installation: who is told of what, and the licence. Changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from web.access.grants import Level
from web.access.guard import need
from web.lists import Cell, Column, Seen, export, listing
from web.present import Badge
from web.upkeep_port import LicenseView, NotifierView, Upkeep

_STANDING = {
    "community": Badge("good", "without a licence"),
    "valid": Badge("good", "valid"),
    "ending": Badge("warn", "ends soon"),
    "grace": Badge("warn", "ended, grace period"),
    "expired": Badge("bad", "ended"),
    "not-yet": Badge("warn", "not valid yet"),
    "foreign": Badge("bad", "for another controller"),
}


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of what is allowed is taken. `allowed` None: any number."""

    what: str
    taken: int
    allowed: int | None

    @property
    def badge(self) -> Badge:
        if self.allowed is None or self.taken < self.allowed:
            return Badge("good", "room for more")
        return Badge("warn", "full" if self.taken == self.allowed else "more than allowed")


def make(upkeep: Upkeep, _clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("upkeep", __name__, url_prefix="/settings")

    @blueprint.get("/notifications")
    @need(Level.ADMIN, whole=True)
    def notifications() -> ResponseReturnValue:
        found = upkeep.notifiers()
        saved = export(found, COLUMNS, "notifications")
        if saved is not None:
            return saved
        troubled = [each for each in found if each.problem]
        shown = listing(found, COLUMNS, command="cto notify list")
        return render_template("notifications.html", listing=shown, troubled=troubled)

    @blueprint.get("/license")
    @need(Level.VIEWER, whole=True)
    def license_page() -> ResponseReturnValue:
        held = upkeep.license()
        return render_template(
            "license.html", held=held, badge=standing_badge(held), meters=meters(held), missing=not held.id
        )

    return blueprint


def standing_badge(held: LicenseView) -> Badge:
    """One that was imported and can't be read any more counts as none, and is not well."""
    if held.standing == "community" and held.note:
        return Badge("bad", "can't be read")
    return _STANDING.get(held.standing, Badge("unknown", held.standing))


def meters(held: LicenseView) -> list[Meter]:
    return [
        Meter("Nodes", held.nodes, held.nodes_allowed),
        Meter("Clusters", held.clusters, held.clusters_allowed),
    ]


def _state(notifier: NotifierView) -> Cell:
    if notifier.problem:
        return Badge("bad", "not reached")
    return Badge("busy", "messages wait") if notifier.waiting else Badge("good", "well")


COLUMNS: list[Column[NotifierView]] = [
    Column("name", "Name", lambda n: n.name),
    Column("kind", "By", lambda n: n.kind, True),
    Column("receiver", "Tells", lambda n: n.receiver),
    Column("topics", "Of", lambda n: ", ".join(n.topics)),
    Column("state", "State", _state, True),
    Column("waiting", "Waiting", lambda n: n.waiting, order=lambda n: n.waiting),
    Column("since", "Since", lambda n: Seen(n.created_at, stale=False), order=lambda n: n.created_at),
]
