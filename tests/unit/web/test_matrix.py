"""Every route for every account, and for things of another site. Made from the routes that there are: a new one
is in it, or fails here.
"""

import re

import pytest
from flask import Blueprint

from tests.unit.web.conftest import ACCOUNTS
from tests.unit.web.test_guard import routes
from web.access.grants import Grant, Level
from web.access.guard import need
from web.app import create_app

READS = {"GET", "HEAD", "OPTIONS"}
NOWHERE = "nowhere"


def orders(app):
    """(endpoint, rule of the URL map, our rule, method) of every route that changes something."""
    for endpoint, url, rule in routes(app):
        for method in sorted(url.methods - READS) if rule and rule.level else ():
            yield endpoint, url, rule, method


def send(client, url, method, *, path="", fields=None):
    """As its own page or program would: a form, or JSON."""
    headers = {"X-CSRF-Token": client.csrf}
    if url.rule.startswith("/api/"):
        return client.open(path or url.rule, method=method, json=fields or {}, headers=headers)
    return client.open(path or url.rule, method=method, data={**(fields or {}), "csrf": client.csrf})


@pytest.mark.parametrize("name", ACCOUNTS)
def test_every_order_against_every_account(app, login, name):
    """Who may not gets 403 whatever they send; who may gets past that, to what is wrong with an empty order."""
    grant = Grant.parse(ACCOUNTS[name])
    seen = 0
    for endpoint, url, rule, method in orders(app):
        client = login(name)  # some of these orders end the session
        answer = send(client, url, method, path=re.sub(r"<[^>]+>", NOWHERE, url.rule))
        may = grant.level >= rule.level and not (rule.whole and grant.labels)
        if not may:
            assert answer.status_code == 403, endpoint
        elif not grant.labels:
            assert answer.status_code not in (401, 403, 500), endpoint
        seen += 1
    assert seen >= 25


def test_a_planted_order_without_a_look_at_the_site_is_found(backend, access):
    """The test below is no empty gesture: a route that acts at any site is noticed by it."""
    app = create_app(backend)
    planted = Blueprint("planted", __name__)

    @planted.post("/sites/<name>/planted")
    @need(Level.OPERATOR)
    def act(name):
        return f"done at {name}"

    app.register_blueprint(planted)
    assert "planted.act" in {endpoint for endpoint, *_ in sited(app)}
    with pytest.raises(AssertionError, match=r"planted\.act"):
        check_other_site(app, access, {"sites": ("berlin", {})})


# --- things of another site

# About which kind of thing a route is, by the beginning of its path; None: about no site's thing.
KINDS = (
    ("/api/v1/calendar/", "sites"),
    ("/api/v1/clusters/", "clusters"),
    ("/api/v1/enrollments/", "enrollments"),
    ("/api/v1/freezes", "switch"),
    ("/api/v1/nodes/", "nodes"),
    ("/api/v1/overrides/", "overrides"),
    ("/api/v1/overrides", "switch"),
    ("/api/v1/releases/", None),
    ("/api/v1/rollouts/", "rollouts"),
    ("/api/v1/tokens", None),  # one's own; tested with the people
    ("/calendar/approve", "overrides"),
    ("/calendar/cancel", "overrides"),
    ("/calendar/", "switch"),
    ("/clusters/", "clusters"),
    ("/nodes/", "nodes"),
    ("/pending/token", "switch"),
    ("/pending/", "enrollments"),
    ("/rollouts/", "rollouts"),
    ("/settings/", None),
    ("/sites/", "sites"),
    ("/updates/", None),
)


def sited(app):
    """(endpoint, rule of the URL map, method, kind) of every route that is about one thing of a site."""
    for endpoint, url, rule in routes(app):
        if rule is None or rule.level is None or rule.whole:
            continue
        for method in sorted(url.methods - {"HEAD", "OPTIONS"}):
            if method == "GET" and not url.arguments:
                continue  # a list: narrowed, see test_guard
            found = [kind for start, kind in KINDS if url.rule.startswith(start)]
            assert found, f"{endpoint} is new: say in KINDS what it is about"
            if found[0]:
                yield endpoint, url, method, found[0]


def enter(app, access, name):
    client = app.test_client()
    made = access._open(name, "password", "127.0.0.1")
    client.set_cookie("cto", made.cookie, domain="localhost")
    client.csrf = made.principal.csrf
    return client


def check_other_site(app, access, things):
    """`petra` may act in Porto only. What is Berlin's is to her as if it were not there, and nothing happens."""
    if "petra" not in {each.name for each in access.accounts()}:
        grants = [Grant.parse("operator:site=porto")]
        access._writing.run(lambda s: s.store.add_account("petra", grants, actor="test"))
    petra = enter(app, access, "petra")
    count = lambda: access._queries.rows("SELECT max(seq) AS n FROM audit")[0]["n"]  # noqa: E731
    before, tried = count(), set()
    for endpoint, url, method, kind in sited(app):
        if kind not in things:
            continue
        name, fields = things[kind]
        told = []
        for thing in (name, NOWHERE):
            path = re.sub(r"<[^>]+>", thing, url.rule)
            sent = {key: thing if value is ... else value for key, value in fields.items()}
            if url.rule.startswith("/api/"):
                sent = {} if method == "GET" else body_of(url.rule, sent)
            answer = petra.get(path) if method == "GET" else send(petra, url, method, path=path, fields=sent)
            told.append((answer.status_code, answer.text.replace(thing, "THING")))
        assert told[0][0] == told[1][0], f"{endpoint}: {told[0][0]} tells that it is there"
        assert told[0][0] in (303, 400, 403, 404), f"{endpoint}: {told[0][0]}"
        assert "berlin-cp-1" not in told[0][1], endpoint
        tried.add(kind)
    assert count() == before, "something was done"
    return tried


def body_of(path, fields):
    """Of these, what the operation takes."""
    takes = {
        "/approval": ("words",) if "/enrollments/" in path else (),
        "/rejection": ("reason",),
        "/cancellation": ("reason",),
        "/orders": ("verb", "reason"),
        "/freezes": ("site", "reason"),
        "/lift": ("site", "reason"),
        "/overrides": ("site", "reason"),
    }
    names = next(names for end, names in takes.items() if path.endswith(end))
    return {name: fields[name] for name in names}


def test_what_is_of_another_site_is_as_if_it_were_not_there(app, access, login, full, machine, rollout):
    olga = login("olga")
    made = olga.post(
        "/api/v1/overrides",
        json={"site": "berlin", "reason": "a disk is failing"},
        headers={"X-CSRF-Token": olga.csrf},
    )
    order = {"reason": "a good reason"}
    things = {
        "sites": ("berlin", {}),
        "clusters": ("berlin", {}),
        "nodes": ("berlin-cp-1", {}),
        "switch": ("berlin", {"site": ..., **order}),
        "overrides": (made.json["id"], {"id": ..., **order}),
        "enrollments": (
            machine["id"],
            {"id": ..., "ids": ..., "see": ..., "words": machine["words"], "compared": "yes", **order},
        ),
        "rollouts": (rollout["id"], {"id": ..., "rollout": ..., "verb": "pause", **order}),
    }
    assert check_other_site(app, access, things) == things.keys()
    seen = [
        olga.get(path).status_code for path in ("/sites/berlin", "/nodes/berlin-cp-1", "/clusters/berlin")
    ]
    assert seen == [200] * 3  # they are there, for whom they concern
