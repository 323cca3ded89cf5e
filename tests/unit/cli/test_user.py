"""`cto user` and `cto apitoken` over a real store."""

import re

import pytest


def test_an_account_from_adding_to_disabling(cto, home):
    assert "no accounts yet" in cto("user", "list").out
    added = cto("user", "add", "olga", "--grant", "operator:site=berlin", "--output", "json")
    assert re.fullmatch(r"[A-Z2-9]{7}(-[A-Z2-9]{7}){3}", added.json["code"])
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
    assert re.match(r"[A-Z2-9]{7}-", shown.out)
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


def test_what_is_asked_of_accounts(cto, fleet, tmp_path):
    assert cto("user", "policy", "--output", "json").json == {"second_factor": "nobody", "leaked": ""}
    bad = tmp_path / "list.txt"
    bad.write_text("hunter2\n")
    refused = cto("user", "policy", "--leaked-passwords", bad)
    assert refused.code == 2
    assert "SHA-1" in refused.err
    good = tmp_path / "sorted.txt"
    good.write_text("0" * 40 + ":7\n" + "F" * 40 + ":1\n")
    ran = cto("user", "policy", "--second-factor", "admins", "--leaked-passwords", "sorted.txt")
    assert f"leaked passwords: {good}" in ran.out
    assert cto("user", "policy", "--leaked-passwords", "none", "--output", "json").json == {
        "second_factor": "admins",
        "leaked": "",
    }


def test_sessions_are_ended_from_the_command_line(cto, fleet):
    cto("user", "add", "olga", "--grant", "viewer")
    assert cto("user", "logout").code == 2
    assert cto("user", "logout", "olga", "--all").code == 2
    assert cto("user", "logout", "nobody").code == 2
    assert cto("user", "logout", "olga", "--output", "json").json == {"account": "olga", "ended": 0}
    assert cto("user", "logout", "--all").code == 0


def test_a_restore_looks_before_it_asks(cto, fleet, tmp_path):
    """A backup that is damaged is told of, and nobody is asked about it (nor told to pass --yes)."""
    assert cto("store", "backup", "b.db").code == 0
    with (tmp_path / "b.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    for more in ((), ("--yes",)):
        ran = cto("store", "restore", "b.db", *more)
        assert ran.code == 2
        assert "SHA-256" in ran.err
        assert "terminal" not in ran.err
