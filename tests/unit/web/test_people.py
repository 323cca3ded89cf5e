"""One-time codes, passwords, second factors and tokens, through the pages; and what the audit log says of it."""

import re
from datetime import timedelta

import pyotp
import pytest

from controller.app import passwords as pw
from controller.app import people_admin
from inventory.errors import OperatorError, RefusedError
from tests.unit.web.conftest import PASSWORD
from web.access.grants import Grant

NEW = "seven green bicycles sing"


@pytest.fixture
def code(access):
    """`code("local")` → a one-time code, as `cto user code` makes it."""
    return lambda name, **more: access._writing.run(
        lambda s: people_admin.new_code(s, name, actor="local:ada", **more)
    )


@pytest.fixture
def audit(store_queries):
    from controller.store.records import StoreRecords

    records = StoreRecords(store_queries._home, store_queries)
    return lambda search="": [(r.actor, r.action, r.object) for r in records.audit(search=search)]


def enter(client, text, **headers):
    return client.post("/enter", data={"code": text}, **headers)


# --- codes


def test_a_code_of_this_computer_logs_in_once(app, code, audit):
    text = code("local")
    assert re.fullmatch(r"[A-Z2-9]{7}(-[A-Z2-9]{7}){3}", text)
    client = app.test_client()
    assert enter(client, f" {text.lower()} ").headers["Location"] == "/"
    assert "local" in client.get("/settings").text
    again = enter(app.test_client(), text)
    assert again.status_code == 401
    assert "cto user code" in again.text
    assert ("user:local", "log in", "session") in audit()
    assert ("local:ada", "make one-time code", "accounts/local") in audit()


def test_a_code_is_over_after_a_day_and_when_another_is_made(app, code, queries):
    first = code("local")
    second = code("local")
    assert enter(app.test_client(), first).status_code == 401
    queries.now += timedelta(days=1, seconds=1)
    assert enter(app.test_client(), second).status_code == 401


def test_guessing_codes_has_to_wait(app, code):
    text = code("local")
    client = app.test_client()
    assert [enter(client, f"AAAAA-{n}").status_code for n in range(6)] == [401] * 5 + [429]
    assert enter(client, text).status_code == 303  # nobody is kept out who has a good one


def test_an_invited_account_chooses_its_password(app, client, login):
    data = {"csrf": client.csrf, "name": "paul", "grants": "viewer:site=berlin operator:site=porto"}
    shown = client.post("/settings/accounts/add", data=data).text
    text = re.search(r'class="secret">([A-Z2-9-]{31})<', shown)[1]
    assert text not in client.get("/settings").text  # only this once
    visitor = app.test_client()
    form = enter(visitor, text)
    assert form.status_code == 200
    assert "Choose a password" in form.text
    refused = visitor.post("/enter/password", data={"code": text, "password": NEW, "again": "other"})
    assert "differ" in refused.text
    done = visitor.post("/enter/password", data={"code": text, "password": NEW, "again": NEW})
    assert done.headers["Location"] == "/settings"
    assert "viewer:site=berlin" in visitor.get("/settings").text
    used = app.test_client().post("/enter/password", data={"code": text, "password": NEW, "again": NEW})
    assert used.status_code == 401
    later = app.test_client().post("/login", data={"name": "paul", "password": NEW})
    assert later.status_code == 303


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 257,
        "annaannaanna!",
        "password1234",
        "qwertyuiop123",
        "aaaaaaaaaaaaaaa",
        "1234567890123",
    ],
)
def test_first_guesses_are_no_passwords(password):
    with pytest.raises(OperatorError):
        pw.checked_password(password, name="anna")


@pytest.mark.parametrize(
    "password", [NEW, "пароль из трёх слов", "🐎🔋📎🐎 correct", "   spaces count too   "]
)
def test_every_letter_is_welcome(password):
    assert pw.checked_password(password, name="anna") == password


@pytest.mark.parametrize("typed", ["{} ", " {}", "{}x", "{}" + "x" * 300])
def test_a_password_is_compared_as_it_was_typed(typed):
    passwords = pw.Passwords(pw.Cost(passes=1, memory_kib=64, lanes=1))
    for password in (NEW, "x" * 256):
        kept = passwords.hash(password)
        assert passwords.verify(kept, password)
        assert not passwords.verify(kept, typed.format(password))
        assert not passwords.verify(kept, password.upper())
        assert not passwords.verify("", password)


def test_a_hash_is_argon2id_and_costs_what_the_rfc_says():
    assert pw.Passwords().hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_cheaper_hash_is_made_anew_at_login(app, access, opened):
    access._passwords._cost = pw.Cost(passes=2, memory_kib=64, lanes=1)
    assert app.test_client().post("/login", data={"name": "vera", "password": PASSWORD}).status_code == 303
    with opened() as services:
        row = services.store._row("SELECT password FROM accounts WHERE name = 'vera'")
    assert "t=2" in row["password"]
    assert app.test_client().post("/login", data={"name": "vera", "password": PASSWORD}).status_code == 303


# --- one's own


def test_a_new_password_ends_every_session(app, login):
    here, there = login("vera"), login("vera")
    data = {"csrf": here.csrf, "old": PASSWORD, "new": NEW, "again": NEW}
    assert here.post("/settings/password", data={**data, "old": "wrong"}).status_code == 409
    assert here.post("/settings/password", data=data).headers["Location"] == "/login"
    assert there.get("/").status_code == here.get("/").status_code == 303
    assert app.test_client().post("/login", data={"name": "vera", "password": PASSWORD}).status_code == 401
    assert app.test_client().post("/login", data={"name": "vera", "password": NEW}).status_code == 303


def test_a_second_factor_from_setting_up_to_losing_it(app, login, queries, code, audit):
    vera = login("vera")
    page = vera.post("/settings/totp/begin", data={"csrf": vera.csrf}).text
    secret = re.search(r'name="secret" value="([A-Z2-7]+)"', page)[1]
    assert "data:image/svg+xml" in page
    now = pyotp.TOTP(secret)
    wrong = {"csrf": vera.csrf, "secret": secret, "code": "000000", "password": PASSWORD}
    assert vera.post("/settings/totp/confirm", data=wrong).status_code == 409
    right = {**wrong, "code": now.at(queries.now)}
    assert vera.post("/settings/totp/confirm", data={**right, "password": "wrong"}).status_code == 409
    assert vera.post("/settings/totp/confirm", data=right).status_code == 303

    def log_in(totp):
        return (
            app.test_client()
            .post("/login", data={"name": "vera", "password": PASSWORD, "totp": totp})
            .status_code
        )

    assert log_in("") == 401
    assert log_in(now.at(queries.now)) == 401  # used when it was set up
    queries.now += timedelta(seconds=60)
    assert log_in(f"{now.at(queries.now)[:3]} {now.at(queries.now)[3:]}") == 303
    assert log_in(now.at(queries.now)) == 401  # a code is good once
    queries.now += timedelta(minutes=20)

    def choose(text):
        return app.test_client().post("/enter/password", data={"code": text, "password": NEW, "again": NEW})

    kept = choose(code("vera"))  # only the password was lost: the code is no way around the factor
    assert kept.status_code == 401
    assert "the password is set" in kept.text
    assert app.test_client().post("/login", data={"name": "vera", "password": NEW}).status_code == 401
    assert choose(code("vera", forget_factor=True)).status_code == 303  # lost with the password
    assert ("local:ada", "remove second factor", "accounts/vera") in audit()


def test_ones_own_session_is_ended_from_elsewhere(login):
    here, there = login("vera"), login("vera")
    ids = re.findall(r'name="id" value="([0-9a-f]{12})"', here.get("/settings").text)
    assert len(ids) == 2
    mine = re.search(r"this one</strong>.*?value=\"([0-9a-f]{12})\"", here.get("/settings").text, re.DOTALL)[
        1
    ]
    (other,) = set(ids) - {mine}
    here.post("/settings/sessions/end", data={"csrf": here.csrf, "id": other})
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 303


def test_nobody_locks_everybody_out(client, access, opened):
    access._writing.run(lambda s: s.store.set_disabled("local", True, actor="test"))
    data = {"csrf": client.csrf, "name": "anna", "grants": "viewer"}
    answer = client.post("/settings/accounts/grants", data=data)
    assert answer.status_code == 409
    assert "nobody would be left" in answer.text
    data = {"csrf": client.csrf, "name": "anna", "disabled": "yes"}
    assert client.post("/settings/accounts/disable", data=data).status_code == 409


# --- tokens


def test_a_token_from_the_page_is_shown_once(app, client, audit):
    data = {"csrf": client.csrf, "note": "backup job", "grant": "operator:site=berlin", "days": "7"}
    shown = client.post("/settings/tokens/create", data=data).text
    text = re.search(r'class="secret">(cto_[\w-]+)<', shown)[1]
    assert text not in client.get("/settings").text
    headers = {"Authorization": f"Bearer {text}"}
    assert app.test_client().get("/api/v1/me", headers=headers).json["grants"] == ["operator:site=berlin"]
    id_ = re.search(r'name="id" value="([0-9a-f]{10})"', shown)[1]
    assert client.post("/settings/tokens/revoke", data={"csrf": client.csrf, "id": id_}).status_code == 303
    assert app.test_client().get("/api/v1/me", headers=headers).status_code == 401
    assert ("user:anna", "revoke API token", f"api-tokens/{id_}") in audit()


@pytest.mark.parametrize(
    ("grant", "days", "note"),
    [
        ("admin", "91", "x"),
        ("admin", "0", "x"),
        ("root", "1", "x"),
        ("viewer:site", "1", "x"),
        ("viewer", "1", " "),
    ],
)
def test_a_token_that_can_not_be(client, grant, days, note):
    data = {"csrf": client.csrf, "note": note, "grant": grant, "days": days}
    assert client.post("/settings/tokens/create", data=data).status_code == 400


def test_somebody_elses_token_is_not_theirs_to_revoke(login, bearer, app):
    token = bearer("viewer", "anna")
    vera = login("vera")
    id_ = app.test_client().get("/api/v1/tokens", headers=token).json["items"][0]["id"]
    assert vera.post("/settings/tokens/revoke", data={"csrf": vera.csrf, "id": id_}).status_code == 404
    assert app.test_client().get("/api/v1/me", headers=token).status_code == 200


# --- what `cto serve` prints


def test_who_starts_it_is_let_in_unless_somebody_decided_otherwise(access, opened):
    def first(loopback):
        return access._writing.run(lambda s: people_admin.first_code(s, loopback=loopback, actor="local:ada"))

    assert first(True)[1] == "local"
    assert first(False) == ("", "")  # anna can log in
    access._writing.run(lambda s: s.store.set_disabled("local", True, actor="user:anna"))
    assert first(True) == ("", "")
    access._writing.run(lambda s: s.store.set_disabled("local", False, actor="user:anna"))
    access._writing.run(lambda s: s.store.set_disabled("anna", True, actor="user:local"))
    made, account = first(False)
    assert account == "admin"
    assert access.code_for(made, source="x") == "password"
    assert first(False)[0] != made  # lost: another one
    access._writing.run(lambda s: s.store.set_disabled("admin", True, actor="user:local"))
    assert first(False) == ("", "")


# --- in the store


def test_nothing_secret_is_in_the_store_in_clear(app, client, code, web_home, login):
    text = code("vera")
    data = {"csrf": client.csrf, "note": "backup job", "grant": "admin", "days": "7"}
    token = re.search(
        r'class="secret">(cto_[\w-]+)<', client.post("/settings/tokens/create", data=data).text
    )[1]
    page = client.post("/settings/totp/begin", data={"csrf": client.csrf}).text
    secret = re.search(r'name="secret" value="([A-Z2-7]+)"', page)[1]
    client.post(
        "/settings/totp/confirm",
        data={
            "csrf": client.csrf,
            "secret": secret,
            "password": PASSWORD,
            "code": pyotp.TOTP(secret).at(client.application.jinja_env.globals["now"]()),
        },
    )
    files = [file for file in web_home.root.rglob("*") if file.is_file() and file.name != "key"]
    assert files
    for file in files:
        held = file.read_bytes()
        for canary in (text, token, secret, PASSWORD, client.login.cookie, client.csrf):
            assert canary.encode() not in held, (file.name, canary)


def test_a_restore_ends_what_it_can_not_know(web_home, opened, access, login, bearer, tmp_path, queries):
    from controller.store import Store, StoreQueries
    from controller.store.home import Home

    headers = bearer("viewer", "vera")
    cookie = login("vera").login.cookie
    with opened() as services:
        services.store.backup(tmp_path / "b.db")
    home = Home(tmp_path / "other").create()
    home.key.write_bytes(web_home.key.read_bytes())
    home.key.chmod(0o600)
    Store.restore(tmp_path / "b.db", home, now=queries.clock)
    with StoreQueries(home) as restored:
        assert restored.rows("SELECT 1 FROM sessions") == []
        assert [row["revoked_at"] != "" for row in restored.rows("SELECT * FROM api_tokens")] == [True]
        assert len(restored.rows("SELECT 1 FROM accounts")) == 5
    assert headers
    assert cookie


def test_of_many_at_once_one_uses_the_code_and_five_may_guess(access, code):
    from concurrent.futures import ThreadPoolExecutor

    text = code("local")

    def attempt(number):
        try:
            return access.enter(text, source=f"10.0.0.{number}").principal.account
        except RefusedError as error:
            return error.slug

    def guess(_):
        try:
            return access.login("vera", "wrong", "", source="10.1.1.1")
        except RefusedError as error:
            return error.slug

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))).count("local") == 1
        assert sorted(pool.map(guess, range(12))).count("not-recognized") == 5


@pytest.mark.parametrize(
    ("token", "owned", "left"),
    [
        ("admin", ["viewer"], ["viewer"]),
        ("viewer", ["admin"], ["viewer"]),
        ("operator:site=berlin", ["operator:region=eu"], ["operator:region=eu,site=berlin"]),
        ("operator:site=berlin", ["operator:site=porto"], []),
        ("operator", ["viewer", "admin:site=porto"], ["viewer", "operator:site=porto"]),
    ],
)
def test_what_is_left_of_a_token(token, owned, left):
    from controller.app.people import _within

    assert [str(g) for g in _within(Grant.parse(token), [Grant.parse(g) for g in owned])] == left
