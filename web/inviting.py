"""Open and close enrolment, and make a token for a machine. What is shown once is in the answer alone.

Letting a machine in is `pending`'s matter. A token's text is never in an address, a log or a list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError
from inventory.fleet import Role
from web import qr
from web.access.grants import Level, labels_of
from web.access.guard import need, who
from web.access.sites import may_at
from web.orders_port import Inviting
from web.ports import Queries

ROLES: Sequence[str] = tuple(sorted(get_args(Role), key=lambda role: role != "worker"))  # the least, first
OPEN_MINUTES, TOKEN_HOURS = 60, 24


@dataclass(frozen=True, slots=True)
class Offer:
    """What the visitor may do here: open it (it is for the whole fleet), make tokens for these sites."""

    may_open: bool
    sites: Sequence[str]
    roles: Sequence[str] = ROLES
    minutes: int = OPEN_MINUTES
    hours: int = TOKEN_HOURS


NOTHING = Offer(may_open=False, sites=())


def offer(queries: Queries) -> Offer:
    me = who()
    sites = [
        site.name for site in queries.sites() if me.may(Level.OPERATOR, labels_of(site.name, site.labels))
    ]
    return Offer(me.may(Level.OPERATOR), sites)


def make(inviting: Inviting, queries: Queries) -> Blueprint:
    """The blueprint, bound to what it orders."""
    blueprint = Blueprint("inviting", __name__, url_prefix="/pending")

    @blueprint.post("/open")
    @need(Level.OPERATOR, whole=True, fresh=True)
    def open_() -> ResponseReturnValue:
        minutes = _number("minutes", OPEN_MINUTES)
        inviting.open(minutes=minutes, interface=_field("interface"), actor=who().actor)
        return redirect("/pending?said=opened", 303)

    @blueprint.post("/close")
    @need(Level.OPERATOR, whole=True)  # takes away only: nobody should have to look for a password first
    def close() -> ResponseReturnValue:
        inviting.close(actor=who().actor)
        return redirect("/pending?said=closed", 303)

    @blueprint.post("/token")
    @need(Level.OPERATOR, person=True, fresh=True)
    def token() -> ResponseReturnValue:
        site = _field("site")
        if not site:
            raise OperatorError("no site is named", fix="choose where the machine is to be")
        may_at(Level.OPERATOR, site, queries)
        made = inviting.invite(
            site=site,
            role=_field("role"),
            uses=_number("uses", 1),
            hours=_number("hours", TOKEN_HOURS),
            actor=who().actor,
        )
        return render_template("invitation.html", made=made, qr=qr.picture(made.text))

    return blueprint


def _number(name: str, default: int) -> int:
    text = _field(name)
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise OperatorError(f"{text[:20]!r} is no number", where=name, fix="write a whole number")
    return int(text)


def _field(name: str) -> str:
    return request.form.get(name, "").strip()[:100]
