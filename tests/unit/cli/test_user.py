"""`cto user` and `cto apitoken` over a real store."""

import re

import pytest


def test_an_account_from_adding_to_disabling(cto, home):
    assert "no accounts yet" in cto("user", "list").out
    added = cto("user", "add", "olga", "--grant", "operator:site=berlin", "--output", "json")
    assert re.fullmatch(r"[A-Z2-9]{5}(-[A-Z2-9]{5}){3}", added.json["code"])
    assert added.json["url"] == ""  # nothing serves it now
    assert "viewer operator:site=berlin" not in cto("user", "list").out
    assert "operator:site=berlin viewer" in cto("user", "grant", "olga", "viewer").out
    assert cto("user", "revoke", "olga", "viewer").code == 0
    assert cto("user", "revoke", "olga", "viewer").code == 2
    (olga,) = cto("user", "list", "--output", "json").json
    assert olga["grants"] == ["operator:site=berlin"]
    assert olga["has_password"] is False
    assert cto("user", "add", "root", "--grant", "admin").code == 0
    assert cto("user", "disable", "root", "--yes").code == 2  # nobody who may do everything would be left
    assert cto("user", "disable", "olga", "--yes").code == 0
    assert cto("user", "code", "olga").code == 2
    assert "disabled" in cto("user", "list").out
    assert cto("user", "enable", "olga").code == 0
    assert cto("user", "code", "olga").code == 0


def test_a_code_without_a_name_is_for_this_computer(cto):
    shown = cto("user", "code")
    assert re.match(r"[A-Z2-9]{5}-", shown.out)
    assert "local" in shown.err


@pytest.mark.parametrize(
    "argv",
    [
        ("user", "add", "Ada", "--grant", "viewer"),
        ("user", "add", "../x", "--grant", "viewer"),
        ("user", "add", "olga", "--grant", "root"),
        ("user", "add", "olga", "--grant", "viewer:site"),
        ("user", "add", "olga", "--grant", "viewer:site=a;b"),
        ("user", "grant", "nobody", "viewer"),
        ("user", "code", "nobody"),
        ("apitoken", "create", "--note", " ", "--grant", "viewer"),
        ("apitoken", "create", "--note", "x", "--grant", "viewer", "--account", "nobody"),
        ("apitoken", "revoke", "cto_secret-canary"),
    ],
)
def test_wrong_input_says_what_to_do(cto, argv):
    ran = cto(*argv)
    assert ran.code == 2
    assert "→" in ran.err
    assert "canary" not in ran.err + ran.out


def test_a_token_is_shown_once_and_never_may_more_than_its_owner(cto, home):
    cto("user", "add", "root", "--grant", "admin")
    cto("user", "add", "vera", "--grant", "viewer:site=berlin")
    assert cto("apitoken", "create", "--note", "x", "--grant", "viewer", "--account", "vera").code == 2
    made = cto("apitoken", "create", "--note", "backup job", "--grant", "viewer", "--output", "json").json
    assert made["token"].startswith("cto_")
    listed = cto("apitoken", "list")
    assert "backup job" in listed.out
    assert made["token"] not in listed.out
    for file in home.rglob("*"):
        assert not file.is_file() or made["token"].encode() not in file.read_bytes()
    assert cto("apitoken", "revoke", made["id"]).code == 0
    assert cto("apitoken", "list", "--output", "json").json[0]["state"] == "revoked"


def test_the_audit_log_names_who_did_it(cto, make_store):
    cto("user", "add", "olga", "--grant", "admin")
    cto("apitoken", "create", "--note", "x", "--grant", "viewer")
    with make_store() as store:
        rows = [(r["actor"], r["action"]) for r in store._rows("SELECT actor, action FROM audit")]
    assert ("local:ada", "add account") in rows
    assert ("local:ada", "make one-time code") in rows
    assert ("local:ada", "create API token") in rows
