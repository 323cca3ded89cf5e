"""Enrolment opened and closed from a page, and tokens made there: by whom, for where, and shown once."""

import re
from datetime import timedelta

import pytest

from inventory.fleet import Fleet, Site
from roles.enrollment.token import Token
from web.access.ports import FRESH_SECONDS


def post(client, path, **fields):
    return client.post(path, data={"csrf": client.csrf, **fields})


def run(access, do):
    return access._writing.run(lambda services: do(services.store))


@pytest.fixture(autouse=True)
def declared(access):
    """Berlin is in the store as well: it refuses a token for a site that it does not know."""
    sites = {"berlin": Site("berlin", "acme", "Europe/Berlin", ())}
    run(access, lambda store: store.declare(Fleet("acme", sites, {}, {}), actor="test"))


def window(access):
    return run(access, lambda store: store.enrollment_window())


TOKEN = {"site": "berlin", "role": "worker", "uses": "2", "hours": "3"}


def test_it_is_opened_for_a_time_and_closed(client, access, queries):
    answer = post(client, "/pending/open", minutes="30", interface="127.0.0.1")
    assert (answer.status_code, answer.location) == (303, "/pending?said=opened")
    made = window(access)
    assert made.interfaces == ("127.0.0.1",)
    assert made.until.startswith("2026-03-02T12:30")
    assert made.actor == "user:anna"
    page = client.get("/pending?said=opened").text
    assert "Enrolment is open" in page
    assert 'action="/pending/close"' in page
    assert post(client, "/pending/close").location == "/pending?said=closed"
    assert window(access).closed_at
    assert post(client, "/pending/close").status_code == 303  # twice is as good as once
    assert 'action="/pending/close"' not in client.get("/pending").text


def test_opened_again_it_is_no_wider_than_it_was(client, access, queries):
    until = queries.now + timedelta(minutes=5)
    run(
        access,
        lambda s: s.open_enrollment(until=until, interfaces=["127.0.0.9"], port=7555, actor="local:ada"),
    )
    assert post(client, "/pending/open", minutes="30").status_code == 303
    made = window(access)
    assert (made.interfaces, made.port) == (("127.0.0.9",), 7555)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"minutes": "0"}, "not a time to be open"),
        ({"minutes": "1441"}, "not a time to be open"),
        ({"minutes": "-1"}, "is no number"),
        ({"minutes": "²"}, "is no number"),
        ({"minutes": "60", "interface": "nowhere0"}, "nowhere0"),
    ],
)
def test_what_is_no_time_or_no_place_is_refused(client, access, fields, said):
    answer = post(client, "/pending/open", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert window(access) is None


def test_a_token_is_shown_once_and_kept_nowhere_in_clear(client, access, web_home):
    answer = post(client, "/pending/token", **TOKEN)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    text = re.search(r'<code class="secret">(CTO1-[A-Z2-7-]+)</code>', answer.text)[1]
    made = Token.from_text(text)
    assert 'src="data:image/svg+xml' in answer.text
    (row,) = run(access, lambda store: store.tokens())
    assert (row.id, row.site, row.role, row.uses, row.actor) == (made.id, "berlin", "worker", 2, "user:anna")
    assert row.expires_at.startswith("2026-03-02T15:00")
    assert f'data-copy="cto token revoke {made.id}"' in answer.text
    secret = text.split("-")[2]
    for path in ("/pending", "/audit", "/events"):
        assert secret not in client.get(path).text
    for file in web_home.root.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"role": "king"}, "there is no role"),
        ({"uses": "0"}, "can&#39;t have 0 uses"),
        ({"hours": "99999"}, "live that long"),
        ({"hours": "two"}, "is no number"),
        ({"site": ""}, "no site is named"),
        ({"site": "<b>"}, "there is no site"),
    ],
)
def test_a_token_that_can_not_be_is_refused(client, access, change, said):
    answer = post(client, "/pending/token", **{**TOKEN, **change})
    assert answer.status_code in (400, 404)
    assert said in answer.text
    assert run(access, lambda store: store.tokens()) == ()


def test_each_sees_and_may_what_their_grants_say(login, access):
    olga, vera, otto = login("olga"), login("vera"), login("otto")
    page = olga.get("/pending").text
    assert 'action="/pending/open"' not in page
    assert '<option value="berlin">' in page
    assert '<option value="porto">' not in page
    assert "Invite machines" not in vera.get("/pending").text
    assert 'action="/pending/open"' in otto.get("/pending").text
    assert post(olga, "/pending/open", minutes="30").status_code == 403
    assert post(olga, "/pending/close").status_code == 403
    assert post(olga, "/pending/token", **{**TOKEN, "site": "porto"}).status_code == 404
    assert post(vera, "/pending/token", **TOKEN).status_code == 403
    assert run(access, lambda store: store.tokens()) == ()
    assert post(olga, "/pending/token", **TOKEN).status_code == 200


def test_a_browser_that_was_left_open_lets_nobody_in(login, access, queries):
    client = login("anna")
    run(
        access, lambda s: s.open_enrollment(until=queries.now, interfaces=["127.0.0.1"], port=7443, actor="x")
    )
    queries.now += timedelta(seconds=FRESH_SECONDS + 1)
    for path, fields in (("/pending/open", {"minutes": "30"}), ("/pending/token", TOKEN)):
        answer = post(client, path, **fields)
        assert answer.status_code == 403
        assert "Is it you?" in answer.text
    assert run(access, lambda store: store.tokens()) == ()
    assert post(client, "/pending/close").status_code == 303  # it takes away only


def test_an_api_token_makes_no_enrolment_token(app, bearer):
    answer = app.test_client().post("/pending/token", data=TOKEN, headers=bearer("operator"))
    assert answer.status_code == 403
    assert "API token" in answer.text


def test_a_program_opens_and_closes_it_too(app, bearer, access):
    client, headers = app.test_client(), bearer("operator")
    url = "/api/v1/enrollment-window"
    assert client.get(url, headers=headers).json is None
    made = client.post(url, json={"minutes": 5, "interface": "127.0.0.1"}, headers=headers)
    assert (made.status_code, made.json["interfaces"]) == (201, ["127.0.0.1"])
    assert window(access).actor.endswith(":anna")
    wrong = client.post(url, json={"interface": "nowhere0"}, headers=headers)
    assert (wrong.status_code, "nowhere0" in wrong.text) == (400, True)
    assert client.delete(url, headers=headers).json["closed_at"]
    for bad in ({"minutes": 0}, {"minutes": 1441}, {"forever": True}):
        assert client.post(url, json=bad, headers=headers).status_code == 400
    part = bearer("operator:site=berlin")
    assert client.post(url, json={"minutes": 5}, headers=part).status_code == 403
    assert client.delete(url, headers=part).status_code == 403
