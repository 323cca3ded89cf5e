"""Canaries: what is secret is put everywhere where secrets lie, and then every page, answer, export, metric and line
of the log is read, by everybody who may read it.
"""

import json
import logging
import re

import pyotp
import pytest

from controller.app import people_admin
from tests.unit.web.conftest import ACCOUNTS, PASSWORD
from tests.unit.web.test_guard import routes


@pytest.fixture
def canaries(access, login, bearer, queries, full):
    """Secret texts; each is now where the program keeps such a thing."""
    vera = login("vera")
    page = vera.post("/settings/totp/begin", data={"csrf": vera.csrf}).text
    factor = re.search(r'name="secret" value="([A-Z2-7]+)"', page)[1]
    code = pyotp.TOTP(factor).at(queries.now)
    data = {"csrf": vera.csrf, "secret": factor, "code": code, "password": PASSWORD}
    assert vera.post("/settings/totp/confirm", data=data).status_code == 303
    sealed = {
        name: f"canary-{name.replace('/', '-')}-5up3r"
        for name in ("cluster/berlin/bundle", "cluster/berlin/kubeconfig", "web/anything")
    }
    webhook = {"url": "https://hooks.example/canary-in-a-path?key=canary-in-a-query"}

    def put(services):
        for name, text in sealed.items():
            services.store.put_secret(name, text.encode())
        services.store.put_notifier("hook", "webhook", webhook, ("all",), actor="test")
        hashed = services.store._row("SELECT password FROM accounts WHERE name = 'anna'")["password"]
        return people_admin.new_code(services, "otto", actor="test"), hashed

    one_time, hashed = access._writing.run(put)
    token = bearer("viewer", "otto")["Authorization"].removeprefix("Bearer ")
    return [
        factor,
        *sealed.values(),
        "canary-in-a",
        one_time,
        hashed,
        token,
        PASSWORD,
        login("anna").login.cookie,
    ]


ARGUMENTS = {"site": "berlin", "run": "run-1"}


def addresses(app, machine, rollout):
    """Every address that can be read, with things that are there; and each list as a file."""
    for endpoint, url, rule in routes(app):
        if "GET" not in url.methods or endpoint == "static":
            continue
        name = "berlin-cp-1" if "nodes" in url.rule else "berlin"
        values = {**ARGUMENTS, "rollout": rollout["id"], "id_": machine["id"], "name": name}
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found, v=values: v[found[1]], url.rule)
        yield path
        if rule is not None and not path.startswith("/api/"):
            yield from (f"{path}?format={kind}" for kind in ("csv", "json"))


@pytest.mark.parametrize("name", ACCOUNTS)
def test_nothing_secret_is_to_be_read(app, login, canaries, machine, rollout, caplog, name):
    caplog.set_level(logging.DEBUG)
    client, read = login(name), 0
    for path in addresses(app, machine, rollout):
        answer = client.get(path)
        assert answer.status_code < 500, path
        read += answer.status_code == 200
        told = answer.text + json.dumps(list(answer.headers.items()))
        for canary in canaries:
            assert canary not in told, (path, canary)
    assert read >= 20
    for canary in canaries:
        assert canary not in caplog.text


def test_nothing_secret_that_is_sent_wrongly_comes_back_or_is_logged(app, login, canaries, caplog):
    """In a name, a path, a query, a header: where people paste by mistake."""
    caplog.set_level(logging.DEBUG)
    client = login("vera")
    canary = "cto_pasted-by-mistake-5up3r"
    for answer in (
        client.get("/api/v1/me", headers={"Authorization": f"Bearer {canary}"}),
        client.post("/login", data={"csrf": client.csrf, "name": "x", "password": canary}),
        client.post("/enter", data={"csrf": client.csrf, "code": canary}),
        client.post(
            "/settings/password", data={"csrf": client.csrf, "old": canary, "new": "x", "again": "x"}
        ),
        client.post("/settings/accounts/code", data={"csrf": canary, "name": "vera"}),
    ):
        assert answer.status_code in (400, 401, 403, 409)
        assert canary not in answer.text
    assert canary not in caplog.text


def test_what_is_shown_once_is_not_printed(client, app):
    """A sheet of paper lies about: the style for printing leaves it out."""
    style = client.get("/static/fleet.css").text
    printing = "".join(re.findall(r"@media print\s*\{((?:[^{}]*\{[^{}]*\})*[^{}]*)\}", style))
    hidden = re.findall(r"([^{}]+)\{[^{}]*display:\s*none", printing)
    assert any(".secret" in each or ".once" in each for each in hidden), printing
