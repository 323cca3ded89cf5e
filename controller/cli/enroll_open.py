"""The time that enrolment is open, as `cto enroll open` shows it: a live list, or a word on who listens."""

import sys
import time
from typing import Any

import click

from controller.cli import enroll_view as view
from controller.cli.base import App
from controller.cli.loop import on_loop
from controller.cli.output import document, line, plain
from inventory.errors import NodeError, OperatorError

_LISTENS = 20.0  # seconds until a process that runs already must have begun to listen


def elsewhere(app: App, services: Any, key: bytes) -> None:
    """Another process listens; it looks at the store about twice a second."""
    end = time.monotonic() + _LISTENS
    while True:
        window = services.store.enrollment_window()
        if window.endpoints:
            break
        if window.problem:
            raise OperatorError(window.problem, fix="mend that, then run this again")
        if time.monotonic() > end:
            raise NodeError(
                "the process that lets machines enrol did not begin to listen",
                where=str(services.home.root),
                fix="is it alive? see its output; or stop it and run this again",
            )
        time.sleep(0.1)
    if app.json:
        document({**plain(window), "invitations": view.invitations(window, key)})
    else:
        view.show_open(window, key, services.clock.now())
        click.echo("cto serve listens. Who asks: cto enroll list; close: cto enroll close")


def here(app: App, services: Any, key: bytes) -> None:
    from controller.app.enrollment.host import host_while_open

    changes, shown = view.Changes(), ""
    changes.enrollments(services.store.enrollments())
    changes.refusals(services.store.enrollment_refusals())

    def tick() -> None:
        nonlocal shown
        shown = _begin(app, services, key, shown)
        for row in changes.enrollments(services.store.enrollments()):
            line({"enrollment": view.as_json(row)}) if app.json else view.show_change(row)
        for refused in changes.refusals(services.store.enrollment_refusals()):
            line({"refused": plain(refused)}) if app.json else view.show_refused(refused)
        sys.stdout.flush()

    try:
        on_loop(services, lambda: host_while_open(services, tick=tick))
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        services.store.close_enrollment(actor=app.actor(), reason="its command ended")
    if not app.json:
        click.echo(view.ending(services.store.enrollments()))


def _begin(app: App, services: Any, key: bytes, shown: str) -> str:
    """Shows an opening, once somebody listens; another command may have changed it. Returns which."""
    window = services.store.enrollment_window()
    if window.opened_at == shown:
        return shown
    if not window.endpoints:
        if window.problem:
            raise OperatorError(window.problem, fix="mend that, then run this again")
        return shown
    if app.json:
        line({"open": {**plain(window), "invitations": view.invitations(window, key)}})
    else:
        view.show_open(window, key, services.clock.now())
        click.echo("Ctrl-C closes it.")
    return str(window.opened_at)
