"""How enrolment is shown: when it is open and where, who waits, who was refused. Prints; changes nothing.

All that machines say of themselves is a claim of a stranger, so all of it is cleaned.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from controller.cli.output import human_seconds, plain, table
from controller.cli.qr import qr
from controller.cli.text import clean
from inventory.wording import count
from roles.enrollment.invitation import Invitation
from web import present
from web.ports import EnrollmentView, EnrollWindowView, RefusalView

TONES = {"pending": "warn", "approved": "good", "rejected": "bad", "expired": "idle", "forgotten": "idle"}


def invitations(window: EnrollWindowView, pin: bytes) -> list[str]:
    """What a machine needs to find and to know this controller; no secret."""
    places = [Invitation.parse(endpoint) for endpoint in window.endpoints]
    return [Invitation(place.host, place.port, pin).to_text() for place in places]


def show_open(window: EnrollWindowView, pin: bytes, now: datetime, *, with_qr: bool = True) -> None:
    where = ", ".join(window.endpoints)
    click.echo(f"Enrolment is open on {where} for {left(window, now)}")
    texts = invitations(window, pin)
    for text in texts:
        click.echo(f"  {text}")
    if with_qr and texts:
        click.echo(qr(texts[0].upper()), nl=False)
    if window.problem:
        click.echo(f"  {clean(window.problem)}", err=True)
    show_rivals(window)


def show_rivals(window: EnrollWindowView) -> None:
    for rival in window.rivals:
        click.echo(click.style(f"  also announced as a controller: {clean(rival)}", fg="yellow"))
    if window.rivals:
        click.echo("  machines with your image don't believe it: it lacks your key")


def left(window: EnrollWindowView, now: datetime) -> str:
    return human_seconds((datetime.fromisoformat(window.until) - now).total_seconds())


def state_of(window: EnrollWindowView | None, at: str) -> str:
    """open, unattended (open, but nobody listens), closed."""
    if window is None or not window.is_open(at):
        return "closed"
    return "open" if window.endpoints else "unattended"


def show_window(window: EnrollWindowView | None, at: str, now: datetime) -> None:
    state = state_of(window, at)
    if window is None or state == "closed":
        click.echo("Enrolment is closed; open it: cto enroll open")
    elif state == "open":
        click.echo(f"Enrolment is open on {', '.join(window.endpoints)} for {left(window, now)}")
        show_rivals(window)
    else:
        why = clean(window.problem) or "run cto enroll open again, or cto serve"
        click.echo(click.style(f"Enrolment is open, but nobody listens: {why}", fg="yellow"))


def show_enrollments(rows: Sequence[EnrollmentView], now: datetime) -> None:
    if not rows:
        click.echo("no machine has asked")
        return
    cells = [
        (
            row.id,
            (row.state, TONES.get(row.state, "")),
            row.site,
            row.role,
            row.address,
            hardware(row),
            row.node or "-",
            present.age(row.first_at, now),
        )
        for row in rows
    ]
    table(("ID", "STATE", "SITE", "ROLE", "ADDRESS", "CLAIMS TO BE", "NODE", "ASKED"), cells)
    for row in rows:
        if row.state == "pending":
            click.echo(f"{row.id}: {clean(row.words)}")
            if row.conflict:
                click.echo(click.style(f"  conflict: {clean(row.conflict)}", fg="red"))
    waiting = [row for row in rows if row.state == "pending"]
    if waiting:
        click.echo(f"  → compare the words with each console, then: cto enroll approve {waiting[0].id}")


def show_refusals(rows: Sequence[RefusalView], now: datetime) -> None:
    if not rows:
        return
    click.echo("\nRefused")
    for row in rows:
        times = f"{row.times} times, last " if row.times > 1 else ""
        click.echo(f"  {clean(row.address)}  {times}{present.age(row.last_at, now)}: {clean(row.what)}")
        click.echo(f"    → {clean(row.fix)}")


def hardware(row: EnrollmentView) -> str:
    said = row.hardware
    name = f"{said.get('vendor', '')} {said.get('product', '')}".strip()
    serial = said.get("serial") or said.get("uuid") or said.get("mac0") or row.claimed
    return clean(f"{name}, {serial}" if name else serial, 60)


def as_json(row: EnrollmentView) -> dict[str, Any]:
    """Without what only the protocol needs."""
    return {
        name: value for name, value in plain(row).items() if name not in ("session", "request", "node_key")
    }


class Changes:
    """What is new since the last look, for a list that goes on."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, str]] = {}
        self._refused: dict[tuple[str, str, str], int] = {}

    def enrollments(self, rows: Sequence[EnrollmentView]) -> list[EnrollmentView]:
        fresh = [row for row in rows if self._rows.get(row.id) != (row.state, row.conflict)]
        self._rows = {row.id: (row.state, row.conflict) for row in rows}
        return fresh

    def refusals(self, rows: Sequence[RefusalView]) -> list[RefusalView]:
        now = {(row.reason, row.address, row.token): row.times for row in rows}
        fresh = [row for row in rows if self._refused.get((row.reason, row.address, row.token)) != row.times]
        self._refused = now
        return fresh


def show_change(row: EnrollmentView) -> None:
    if row.state == "pending":
        click.echo(f"+ {row.id}  {clean(row.address)}  {hardware(row)}  {row.role} at {row.site}")
        click.echo(f"    {clean(row.words)}")
        if row.conflict:
            click.echo(click.style(f"    conflict: {clean(row.conflict)}", fg="red"))
        click.echo(f"    → the same words on its console? cto enroll approve {row.id}")
    else:
        became = f" as {row.node}" if row.node else ""
        click.echo(f"= {row.id}  {row.state}{became}  by {clean(row.decided_by)}")


def show_refused(row: RefusalView) -> None:
    click.echo(click.style(f"! {clean(row.address)}  {clean(row.what)}", fg="yellow"))


def ending(rows: Sequence[EnrollmentView]) -> str:
    waiting = sum(row.state == "pending" for row in rows)
    return (
        f"Enrolment is closed. {count(waiting, 'machine')} waiting: cto enroll list"
        if waiting
        else ("Enrolment is closed.")
    )
