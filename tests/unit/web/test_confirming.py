"""Who it is, once more: before sensitive acts, where a second factor is owed, and for passwords that leaked."""

import hashlib
import re
from datetime import timedelta

import pyotp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.app import leaked, people_admin
from controller.app import passwords as pw
from inventory.errors import OperatorError, StoreError
from tests.unit.web.conftest import PASSWORD
from tests.unit.web.test_live import listening
from web.access.grants import Grant
from web.access.guard import RULE
from web.access.ports import FRESH_SECONDS, PeoplePolicy

NEW = "seven green bicycles sing"
LATER = timedelta(seconds=FRESH_SECONDS + 1)


@pytest.fixture
def stale(login, queries):
    """`stale("anna")` → her session, used all along, but begun a while ago."""

    def make(name="anna"):
        client = login(name)
        queries.now += LATER
        return client

    return make


@pytest.fixture
def policy(access):
    return lambda **asked: access._writing.run(
        lambda s: s.store.set_people_policy(PeoplePolicy(**asked), actor="test")
    )


def factor_of(client, queries):
    """Sets one up; the generator of its codes."""
    page = client.post("/settings/totp/begin", data={"csrf": client.csrf}).text
    secret = re.search(r'name="secret" value="([A-Z2-7]+)"', page)[1]
    made = pyotp.TOTP(secret)
    data = {"csrf": client.csrf, "secret": secret, "code": made.at(queries.now), "password": PASSWORD}
    assert client.post("/settings/totp/confirm", data=data).status_code == 303
    return made


# --- before what changes who gets in


def test_what_changes_who_gets_in_asks_who_it_is(app, login, stale):
    """Every order of the settings, but those that ask for the password themselves."""
    own_proof = {"settings.password", "settings.remove_totp", "settings.begin_totp", "settings.confirm_totp"}
    orders = {
        url.endpoint: url.rule
        for url in app.url_map.iter_rules()
        if url.rule.startswith("/settings/") and "POST" in url.methods
    }
    less = {"settings.revoke_token"}  # takes away only: nobody should have to look for a password first
    assert len(orders) >= 12
    client = stale()
    for endpoint in orders.keys() - own_proof - less:
        assert getattr(app.view_functions[endpoint], RULE).fresh, endpoint
        answer = client.post(orders[endpoint], data={"csrf": client.csrf, "name": "vera"})
        assert answer.status_code == 403, endpoint
        assert "Is it you?" in answer.text
        assert 'name="name" value="vera"' in answer.text


def test_the_right_answer_does_what_was_asked_with_a_session_of_its_own(app, stale):
    client = stale()
    asked = {"csrf": client.csrf, "name": "paul", "grants": "viewer"}
    wrong = client.post("/settings/accounts/add", data={**asked, "proof": "wrong"})
    assert wrong.status_code == 401
    assert 'name="grants" value="viewer"' in wrong.text
    old = client.get_cookie("cto").value
    done = client.post("/settings/accounts/add", data={**asked, "proof": PASSWORD})
    assert "Shown once" in done.text
    assert client.get_cookie("cto").value != old
    copy = app.test_client()
    copy.set_cookie("cto", old, domain="localhost")
    assert copy.get("/").status_code == 303
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', done.text)[1]  # of the new session
    again = client.post(
        "/settings/accounts/grants", data={"csrf": csrf, "name": "paul", "grants": "operator"}
    )
    assert again.status_code == 303
    assert client.get("/").status_code == 200


def test_guessing_there_has_to_wait_too(stale):
    client = stale()
    data = {"csrf": client.csrf, "id": "x", "proof": "wrong"}
    answers = [client.post("/settings/sessions/end", data=data) for _ in range(6)]
    assert [each.status_code for each in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_with_a_second_factor_that_is_asked_for_as_well(login, queries):
    client = login("vera")
    made = factor_of(client, queries)
    queries.now += LATER
    data = {"csrf": client.csrf, "note": "job", "grant": "viewer", "days": "1", "proof": PASSWORD}
    assert client.post("/settings/tokens/create", data=data).status_code == 401
    data["proof_totp"] = made.at(queries.now)
    assert "Shown once" in client.post("/settings/tokens/create", data=data).text


def test_whoever_entered_by_a_code_shows_another_one(app, access, queries):
    def code(name="local"):
        return access._writing.run(lambda s: people_admin.new_code(s, name, actor="test"))

    client = app.test_client()
    client.post("/enter", data={"code": code()})
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/settings").text)[1]
    queries.now += LATER
    data = {"csrf": csrf, "note": "job", "grant": "viewer", "days": "1"}
    assert "cto user code" in client.post("/settings/tokens/create", data=data).text
    of_another = {**data, "proof": code("vera")}
    assert client.post("/settings/tokens/create", data=of_another).status_code == 401
    assert "Shown once" in client.post("/settings/tokens/create", data={**data, "proof": code()}).text


def test_over_the_api_a_session_is_told_to_log_in_again(stale, bearer, app):
    client = stale()
    body = {"note": "job", "grant": "viewer"}
    answer = client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": client.csrf})
    assert (answer.status_code, answer.json["type"].rpartition(":")[2]) == (403, "confirm-first")


def test_password_and_factor_change_only_with_both(login, queries):
    client = login("vera")
    made = factor_of(client, queries)
    change = {"csrf": client.csrf, "old": PASSWORD, "new": NEW, "again": NEW}
    assert client.post("/settings/password", data=change).status_code == 409
    off = {"csrf": client.csrf, "password": PASSWORD}
    assert client.post("/settings/totp/remove", data=off).status_code == 409
    other = {**off, "secret": pyotp.random_base32(), "code": "1"}
    assert "already" in client.post("/settings/totp/confirm", data=other).text
    queries.now += timedelta(seconds=60)
    assert client.post("/settings/totp/remove", data={**off, "totp": made.at(queries.now)}).status_code == 303


def test_another_factor_ends_the_other_sessions(login, queries):
    here, there = login("vera"), login("vera")
    factor_of(here, queries)
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 303


def test_an_administrator_ends_somebodys_sessions(client, login):
    vera, otto = login("vera"), login("otto")
    client.post("/settings/accounts/sessions", data={"csrf": client.csrf, "name": "vera"})
    assert vera.get("/").status_code == 303
    assert otto.get("/").status_code == client.get("/").status_code == 200


# --- a second factor that is asked for


@pytest.mark.parametrize(
    ("asked", "name", "owes"),
    [
        ("admins", "anna", True),
        ("admins", "otto", False),
        ("everybody", "otto", True),
        ("everybody", "local", False),
        ("nobody", "anna", False),
    ],
)
def test_who_owes_a_second_factor(app, access, policy, asked, name, owes):
    policy(second_factor=asked)
    client = app.test_client()
    method = "code" if name == "local" else "password"
    client.set_cookie("cto", access._open(name, method, "127.0.0.1").cookie, domain="localhost")
    answer = client.get("/")
    assert (answer.status_code == 303) is owes
    assert not owes or answer.headers["Location"] == "/settings/second-factor"


def test_who_owes_one_can_only_set_it_up(app, login, policy, queries):
    client = login("anna")
    assert client.get("/nodes").status_code == 200
    policy(second_factor="admins")
    early = set()
    for url in app.url_map.iter_rules():
        rule = getattr(app.view_functions[url.endpoint], RULE, None)
        if rule is None or rule.level is None:
            continue
        if rule.early:
            early.add(url.endpoint)
            continue
        path = re.sub(r"<[^>]+>", "berlin", url.rule)
        for method in url.methods - {"HEAD", "OPTIONS"}:
            answer = client.open(path, method=method, data={"csrf": client.csrf})
            assert answer.status_code in (303, 403), (url.endpoint, answer.status_code)
            assert "berlin-cp-1" not in answer.text
    assert early == {"settings.factor", "settings.begin_totp", "settings.confirm_totp"}
    assert "asks for a second factor" in client.get("/settings/second-factor").text
    factor_of(client, queries)
    assert client.get("/nodes").status_code == 200


async def test_the_event_stream_is_closed_to_who_owes_one(served, policy):
    async with listening(served) as (head, _):
        assert "200 OK" in head
    policy(second_factor="admins")
    async with listening(served) as (head, _):
        assert "401" in head


# --- passwords


@pytest.mark.parametrize("password", ["platform-in-a-box", "kubernetes talos", "berlin-acme-porto"])
def test_names_that_everybody_here_knows_make_no_password(password):
    with pytest.raises(OperatorError):
        pw.checked_password(password, name="anna", words=("acme", "berlin", "porto"))


def _sha1(text):
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def leak(tmp_path):
    """`leak("a", "b")` → the path of such a list."""

    def write(*words, times=True):
        lines = sorted(_sha1(word) + (f":{len(word) * 7}" if times else "") for word in words)
        path = tmp_path / "leaked.txt"
        path.write_text("\r\n".join(lines) + ("\r\n" if times else ""))
        return path

    return write


def test_a_password_of_the_list_is_refused(app, access, login, policy, leak):
    policy(leaked=str(leak(NEW, "another", "a third one")))
    client = login("vera")
    data = {"csrf": client.csrf, "old": PASSWORD, "new": NEW, "again": NEW}
    assert "found in a leak" in client.post("/settings/password", data=data).text
    fine = {**data, "new": NEW + "!", "again": NEW + "!"}
    assert client.post("/settings/password", data=fine).status_code == 303


def test_a_list_that_is_gone_lets_no_password_in(login, policy, leak):
    path = leak("another")
    policy(leaked=str(path))
    path.unlink()
    client = login("vera")
    answer = client.post(
        "/settings/password", data={"csrf": client.csrf, "old": PASSWORD, "new": NEW, "again": NEW}
    )
    assert answer.status_code == 503
    assert "cto user policy" in answer.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.sets(st.text(max_size=9), min_size=1, max_size=40), absent=st.text(), times=st.booleans())
def test_every_line_of_a_list_is_found_and_nothing_else(leak, words, absent, times):
    path = str(leak(*words, times=times))
    leaked.checked_list(leak(*words, times=times))
    for word in words:
        with pytest.raises(OperatorError, match="leak"):
            leaked.must_not_be_in(path, word)
    if absent not in words:
        leaked.must_not_be_in(path, absent)


@pytest.mark.parametrize(
    "content", [b"", b"password\n123456\n", b"F" * 40 + b"\n" + b"0" * 40, b"\x00" * 500]
)
def test_what_is_no_such_list(tmp_path, content):
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(OperatorError, match="SHA-1"):
        leaked.checked_list(path)
    with pytest.raises(OperatorError, match="read"):
        leaked.checked_list(tmp_path / "nowhere")
    with pytest.raises(StoreError):
        leaked.must_not_be_in(str(tmp_path / "nowhere"), "x")


def test_a_policy_that_changes_is_in_the_audit_log(policy, store_queries):
    from controller.store.records import StoreRecords

    policy(second_factor="admins")
    policy(second_factor="admins")
    (row,) = StoreRecords(store_queries._home, store_queries).audit(search="policy")
    assert "second factor of admins" in row.after
    assert PeoplePolicy("admins").asks_factor([Grant.parse("admin:site=x")])
