"""Which pages there are: one blueprint for each noun. Adding a page is one line here."""

from flask import Flask

from web import (
    audit,
    calendar,
    chosen,
    clusters,
    events,
    inviting,
    login,
    nodes,
    overview,
    pending,
    rollouts,
    search,
    settings,
    sites,
    updates,
    upkeep,
)
from web.access.guard import Guard
from web.api import service
from web.backend import Backend
from web.ports import Queries


def register(app: Flask, backend: Backend, queries: Queries, guard: Guard) -> None:
    """`queries` show what the visitor of the request may see."""
    clock = backend.clock
    app.register_blueprint(login.make(backend.access, guard))
    app.register_blueprint(overview.make(queries, backend.calendar, clock))
    app.register_blueprint(sites.make(queries, clock))
    app.register_blueprint(clusters.make(queries, clock))
    app.register_blueprint(nodes.make(queries, clock))
    app.register_blueprint(chosen.make(queries, clock))
    app.register_blueprint(events.make(queries, clock))
    app.register_blueprint(search.make(backend, queries, clock))
    app.register_blueprint(audit.make(backend.records))
    app.register_blueprint(settings.make(backend.access, queries, guard))
    if backend.calendar is not None:
        app.register_blueprint(calendar.make(backend.calendar, queries, guard, clock))
    if backend.enrolling is not None:
        app.register_blueprint(pending.make(backend.enrolling, queries, clock, backend.inviting))
    if backend.inviting is not None:
        app.register_blueprint(inviting.make(backend.inviting, queries))
    if backend.rollouts is not None:
        app.register_blueprint(rollouts.make(backend.rollouts, queries, clock))
    if backend.updates is not None:
        app.register_blueprint(updates.make(backend.updates, queries, clock))
    if backend.upkeep is not None:
        app.register_blueprint(upkeep.make(backend.upkeep, clock))
    app.register_blueprint(service.make(backend, queries))
