"""Who gets in, who may do what, and what another site's page can't do: over the real accounts and store."""

import re

import pytest
from flask import Blueprint

from tests.unit.web.conftest import ACCOUNTS, PASSWORD
from web.access.grants import Grant, Level
from web.access.guard import RULE, Rule, checked_next
from web.access.ports import IDLE_SECONDS, LONGEST_SECONDS
from web.app import create_app

OPEN = {"login.page", "login.login", "login.enter_page", "login.enter", "login.choose", "login.logout"}


def routes(app):
    """(endpoint, rule of the URL map, our rule) of every route."""
    for url in app.url_map.iter_rules():
        yield url.endpoint, url, getattr(app.view_functions[url.endpoint], RULE, None)


def path_of(url):
    return re.sub(r"<[^>]+>", "berlin", url.rule)


def test_every_route_has_a_rule_and_few_are_open(app):
    without = [endpoint for endpoint, _, rule in routes(app) if not isinstance(rule, Rule)]
    assert without == ["static"]
    assert {endpoint for endpoint, _, rule in routes(app) if rule and rule.level is None} == OPEN


def test_a_route_without_a_rule_is_answered_to_nobody(backend, login):
    app = create_app(backend)
    forgotten = Blueprint("forgotten", __name__)
    forgotten.get("/forgotten")(lambda: "secret-canary")
    app.register_blueprint(forgotten)
    answer = app.test_client().get("/forgotten")
    assert answer.status_code == 500
    assert "secret-canary" not in answer.text


def test_nobody_without_a_session_gets_an_answer(app):
    client = app.test_client()
    for endpoint, url, rule in routes(app):
        if rule is None or rule.level is None:
            continue
        for method in url.methods - {"HEAD", "OPTIONS"}:
            answer = client.open(path_of(url), method=method)
            if method == "GET" and not url.rule.startswith("/api/"):
                assert answer.status_code == 303, endpoint
                assert answer.headers["Location"].startswith("/login"), endpoint
            else:
                assert answer.status_code == 401, endpoint
            assert "berlin-cp-1" not in answer.text


@pytest.mark.parametrize("name", ACCOUNTS)
def test_the_grant_matrix(app, login, name):
    """What a route needs against what somebody has, for every route that only reads."""
    client, grant = login(name), Grant.parse(ACCOUNTS[name])
    for endpoint, url, rule in routes(app):
        if rule is None or rule.level is None or "GET" not in url.methods:
            continue
        answer = client.get(path_of(url))
        allowed = grant.level >= rule.level and not (rule.whole and grant.labels)
        assert (answer.status_code == 403) is not allowed, (endpoint, answer.status_code)


@pytest.mark.parametrize("name", ["vera", "olga", "otto"])
def test_no_order_of_administrators_is_taken_from_others(app, login, name):
    client = login(name)
    for endpoint, url, rule in routes(app):
        if rule and rule.level is Level.ADMIN and "POST" in url.methods:
            assert client.post(path_of(url), data={"csrf": client.csrf}).status_code == 403, endpoint


# --- coming from somewhere else


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/calendar/freeze", "/settings/tokens/create", "/logout", "/login", "/enter"]
)
def test_orders_of_other_pages_are_refused(login, headers, path):
    client = login("anna")
    answer = client.post(path, data={"csrf": client.csrf}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("sent", ["", "x", "0" * 64])
def test_a_form_without_its_token_is_refused(login, sent):
    client = login("anna")
    answer = client.post("/settings/tokens/create", data={"csrf": sent, "note": "x", "grant": "viewer"})
    assert answer.status_code == 403
    assert "another session" in answer.text


def test_every_form_carries_the_token(login):
    client = login("anna")
    for path in ("/", "/settings", "/calendar", "/nodes"):
        page = client.get(path).text
        posts = re.findall(r'<form[^>]*method="post"[^>]*>(.*?)</form>', page, re.DOTALL)
        assert posts
        assert all(f'name="csrf" value="{client.csrf}"' in form for form in posts), path


def test_every_page_lets_one_log_out(app, login):
    client = login("anna")
    seen = 0
    for endpoint, url, rule in routes(app):
        if rule is None or rule.level is None or "GET" not in url.methods or url.arguments:
            continue
        answer = client.get(url.rule)
        if answer.mimetype == "text/html" and answer.status_code == 200:
            assert 'action="/logout"' in answer.text, endpoint
            seen += 1
    assert seen >= 12


# --- logging in


def log_in(client, name="anna", password=PASSWORD, **fields):
    return client.post("/login", data={"name": name, "password": password, **fields})


def cookie_of(answer):
    return answer.headers["Set-Cookie"]


def test_a_login_leads_to_where_one_wanted_to_go(app):
    client = app.test_client()
    assert client.get("/nodes?site=berlin").headers["Location"] == "/login?next=/nodes?site%3Dberlin"
    answer = log_in(client, next="/nodes?site=berlin")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/nodes?site=berlin")
    assert client.get("/nodes").status_code == 200


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\\b", "", "/login", "/\nx", "x"]
)
def test_a_login_leads_nowhere_else(path):
    assert checked_next(path) == "/"


def test_the_cookie_is_as_closed_as_it_can_be(backend):
    plain = cookie_of(log_in(create_app(backend).test_client()))
    assert re.match(r"cto=[\w-]{40,}; .*HttpOnly; Path=/; SameSite=Strict$", plain)
    client = create_app(backend, secure=True).test_client()
    secure = cookie_of(log_in(client))
    assert re.match(r"__Host-cto=[\w-]{40,}; .*Secure; HttpOnly; Path=/; SameSite=Strict$", secure)
    assert "Domain" not in plain + secure


def test_tls_is_remembered_by_browsers(backend):
    assert (
        "max-age=31536000"
        in create_app(backend, secure=True).test_client().get("/login").headers["Strict-Transport-Security"]
    )
    assert "Strict-Transport-Security" not in create_app(backend).test_client().get("/login").headers


def test_each_login_has_a_cookie_of_its_own_and_an_old_one_is_not_taken_over(app):
    client = app.test_client()
    client.set_cookie("cto", "chosen-by-somebody-else", domain="localhost")
    first, second = cookie_of(log_in(client)), cookie_of(log_in(app.test_client()))
    assert "chosen-by-somebody-else" not in first
    assert first.split(";")[0] != second.split(";")[0]


def test_a_login_ends_the_session_before_it(app):
    client = app.test_client()
    log_in(client)
    old = client.get_cookie("cto").value
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/").text)[1]
    assert log_in(client, name="vera", csrf=csrf).status_code == 303
    assert client.get_cookie("cto").value != old
    copy = app.test_client()
    copy.set_cookie("cto", old, domain="localhost")
    assert copy.get("/").status_code == 303


def test_whatever_is_wrong_the_sentence_is_the_same(app):
    client = app.test_client()
    answers = [log_in(client, *who) for who in (("anna", "wrong"), ("nobody", "wrong"), ("local", ""))]
    assert {answer.status_code for answer in answers} == {401}
    assert len({re.search(r'class="problem">(.*?)</p>', a.text, re.DOTALL)[1] for a in answers}) == 1
    assert "Set-Cookie" not in answers[0].headers


def test_five_tries_then_a_wait(app, queries, opened):
    from datetime import timedelta

    client = app.test_client()
    for _ in range(5):
        assert log_in(client, password="wrong").status_code == 401
    answer = log_in(client)  # now even the right one has to wait
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60 + 1
    assert log_in(client, name="vera").status_code == 303  # others are not kept out
    queries.now += timedelta(minutes=15, seconds=2)
    assert log_in(client).status_code == 303


def test_twenty_tries_from_one_address_then_a_wait(app):
    client = app.test_client()
    for number in range(20):
        assert log_in(client, name=f"guess-{number}", password="wrong").status_code == 401
    assert log_in(client, name="guess-20", password="wrong").status_code == 429
    other = app.test_client().post(
        "/login", data={"name": "vera", "password": PASSWORD}, environ_base={"REMOTE_ADDR": "10.9.9.9"}
    )
    assert other.status_code == 303


def test_ipv6_neighbours_are_one_source(app):
    client = app.test_client()
    answers = [
        client.post(
            "/login",
            data={"name": f"guess-{n}", "password": "wrong"},
            environ_base={"REMOTE_ADDR": f"2001:db8::{n:x}"},
        ).status_code
        for n in range(1, 22)
    ]
    assert answers == [401] * 20 + [429]


def test_mistakes_before_the_right_password_are_forgiven(app):
    client = app.test_client()
    for _ in range(3):
        for _ in range(4):
            log_in(client, password="wrong")
        assert log_in(client).status_code == 303
        client.delete_cookie("cto", domain="localhost")


def test_what_somebody_typed_as_a_name_is_kept_nowhere(app, web_home):
    log_in(app.test_client(), name="my-secret-canary", password="hunter2-canary")
    for file in web_home.root.iterdir():
        if file.is_file():
            assert b"canary" not in file.read_bytes(), file.name


# --- a session's end


def test_logout_ends_it_for_every_copy_of_the_cookie(login):
    client, copy = login("anna"), login("vera")
    copy.set_cookie("cto", client.login.cookie, domain="localhost")
    assert copy.get("/").status_code == 200
    answer = client.post("/logout", data={"csrf": client.csrf})
    assert answer.headers["Clear-Site-Data"] == '"storage"'
    assert client.get("/").status_code == copy.get("/").status_code == 303


def test_it_ends_when_nobody_uses_it(login, queries):
    from datetime import timedelta

    client = login("anna")
    queries.now += timedelta(seconds=IDLE_SECONDS + 1)
    assert client.get("/").status_code == 303


def test_an_open_page_alone_is_no_use(login, queries, access):
    from datetime import timedelta

    client = login("anna")
    for _ in range(4):
        queries.now += timedelta(seconds=IDLE_SECONDS // 3)
        client.get("/", headers={"X-Refresh": "1"})
        access._writing.run(lambda _: None)  # what was written later is there now
    assert client.get("/").status_code == 303


def test_it_ends_after_eight_hours_of_use(login, queries, access):
    from datetime import timedelta

    client = login("anna")
    began = queries.now
    while queries.now - began <= timedelta(seconds=LONGEST_SECONDS):
        assert client.get("/search").status_code == 200
        access._writing.run(lambda _: None)
        queries.now += timedelta(minutes=10)
    assert client.get("/").status_code == 303


def test_disabling_somebody_ends_their_sessions_and_tokens(login, bearer):
    admin, vera, token = login("anna"), login("vera"), bearer("viewer", "vera")
    assert vera.get("/").status_code == admin.get("/api/v1/me", headers=token).status_code == 200
    admin.post("/settings/accounts/disable", data={"csrf": admin.csrf, "name": "vera", "disabled": "yes"})
    assert vera.get("/").status_code == 303
    assert admin.get("/api/v1/me", headers=token).status_code == 401


def test_fewer_grants_count_from_the_next_click_on(login):
    admin, otto = login("anna"), login("otto")
    assert otto.get("/audit").status_code == 200
    data = {"csrf": admin.csrf, "name": "otto", "grants": "viewer:site=porto"}
    assert admin.post("/settings/accounts/grants", data=data).status_code == 303
    assert otto.get("/audit").status_code == 403


# --- only one's own sites


def test_a_grant_at_one_site_shows_nothing_of_others(login):
    olga = login("olga")
    for path in (
        "/",
        "/sites",
        "/clusters",
        "/nodes",
        "/events",
        "/search?q=p",
        "/api/v1/fleet",
        "/api/v1/events",
    ):
        page = olga.get(path)
        assert page.status_code == 200
        assert "porto" not in page.text, path
    assert "berlin-cp-1" in olga.get("/nodes").text
    for path in (
        "/nodes/porto-1",
        "/sites/porto",
        "/clusters/porto",
        "/api/v1/nodes/porto-1",
        "/nodes/spare",
    ):
        seen, unknown = olga.get(path), olga.get(path.replace("porto", "nowhere").replace("spare", "nowhere"))
        assert seen.status_code == unknown.status_code == 404, path


def test_acts_stay_within_the_sites_of_a_grant(login, opened):
    olga = login("olga")
    for site, status in (("porto", 404), ("", 403)):
        data = {"csrf": olga.csrf, "site": site, "reason": "a good reason"}
        assert olga.post("/calendar/freeze", data=data).status_code == status
    vera = login("vera")
    data = {"csrf": vera.csrf, "site": "berlin", "reason": "a good reason"}
    assert vera.post("/calendar/freeze", data=data).status_code == 403
    with opened() as services:
        assert services.store.freezes() == ()


# --- bearer tokens


def test_a_token_is_good_for_what_it_was_made_for(client, bearer, app):
    plain = app.test_client()
    assert plain.get("/api/v1/me", headers=bearer("viewer")).json["grants"] == ["viewer"]
    body = {"note": "another", "grant": "admin"}
    answer = plain.post("/api/v1/tokens", json=body, headers=bearer("admin"))
    assert answer.status_code == 403  # a token makes no tokens, and no accounts
    assert plain.post("/settings/accounts/add", headers=bearer("admin")).status_code == 403
    session = {"X-CSRF-Token": client.csrf}
    assert client.post("/api/v1/tokens", json=body, headers=session).status_code == 201
    assert plain.get("/api/v1/accounts", headers=bearer("operator")).status_code == 403
    assert plain.get("/api/v1/accounts", headers=bearer("admin")).status_code == 200


def test_a_token_never_outgrows_its_owner(app, bearer, login):
    admin, token = login("anna"), bearer("operator", "otto")
    data = {"csrf": admin.csrf, "name": "otto", "grants": "viewer:site=berlin"}
    admin.post("/settings/accounts/grants", data=data)
    assert app.test_client().get("/api/v1/me", headers=token).json["grants"] == ["viewer:site=berlin"]


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer " + "x" * 5000, "bearer é"]
)
def test_other_authorization_is_no_login(app, value):
    answer = app.test_client().get(
        "/api/v1/me", headers={"Authorization": value.encode("latin-1").decode("latin-1")}
    )
    assert answer.status_code == 401


def test_what_is_refused_is_in_the_log_with_who_asked(login, caplog):
    login("vera").post("/logout", data={"csrf": "wrong"})
    assert "refused POST '/logout' to user:vera" in caplog.text


def test_what_defends_is_in_the_log_with_where_it_came_from(app, login, caplog):
    """Other names than ours, guessing, and a form of another page: each a line that can't be made to be two."""
    client = app.test_client()
    assert client.get("/login", headers={"Host": "evil.example"}).status_code == 400
    assert "from 127.0.0.1: a name that is not ours" in caplog.text
    for _ in range(6):
        log_in(client, password="wrong")
    assert "refused tries at /login from 127.0.0.1" in caplog.text
    login("vera").post("/a%0aFAKE%20line/logout", data={"csrf": "wrong"})
    caplog.clear()
    login("vera").post("/sites/a%0aERROR%20FAKE", data={"csrf": "wrong"})
    assert all("\nERROR FAKE" not in record.getMessage() for record in caplog.records)


def test_a_bug_on_an_address_with_a_line_break_is_one_line_of_the_log(backend, caplog):
    app = create_app(backend)
    broken = Blueprint("broken", __name__)
    broken.get("/broken/<name>")(lambda name: name)
    app.register_blueprint(broken)
    assert app.test_client().get("/broken/x%0aFAKE").status_code == 500
    assert "\nFAKE" not in caplog.records[-1].getMessage()


def test_a_token_ends(app, bearer, queries):
    from datetime import timedelta

    token = bearer("viewer")
    queries.now += timedelta(days=1, seconds=1)
    assert app.test_client().get("/api/v1/me", headers=token).status_code == 401
