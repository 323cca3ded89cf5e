"""`cto token`: the text is shown once and nowhere else; what is wrong is said without repeating it."""

import pytest

from roles.enrollment.token import Token

CREATE = ("token", "create", "--site", "berlin", "--role", "worker")


def test_a_token_is_shown_once(cto, fleet, home):
    made = cto(*CREATE)
    assert made.code == 0, made.err
    text = made.out.splitlines()[0]
    assert "█" in made.out
    assert "worker at berlin, uses: 1, until " in made.out
    token = Token.from_text(text)
    listed = cto("token", "list")
    assert token.id in listed.out
    assert "good" in listed.out
    for shown in (listed, cto("events"), cto("token", "list", "--output", "json")):
        assert text[-26:] not in shown.out + shown.err
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert text[-26:].encode() not in held
    assert token.secret not in held


def test_for_programs(cto, fleet):
    made = cto(*CREATE, "--uses", "3", "--expires", "7d", "--output", "json").json
    assert Token.from_text(made["token"]).id == made["id"]
    assert (made["uses"], made["granted"], made["role"]) == (3, 3, "worker")
    assert cto("token", "revoke", made["id"], "--output", "json").json["revoked_at"]
    assert cto("token", "list", "--output", "json").json[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("token", "create", "--site", "atlantis", "--role", "worker"), "berlin"),
        (("token", "create", "--site", "berlin", "--role", "king"), "controlplane"),
        ((*CREATE, "--expires", "soon"), "30m, 24h or 7d"),
        ((*CREATE, "--expires", "91d"), "90 days"),
        ((*CREATE, "--uses", "0"), "1 to 100"),
        (("token", "revoke", "AAAAAAAAAA"), "token list"),
    ],
)
def test_wrong_input(cto, fleet, argv, words):
    ran = cto(*argv)
    assert ran.code == 2
    assert words in ran.err


def test_a_whole_token_given_to_revoke_is_not_repeated(cto, fleet):
    text = cto(*CREATE).out.splitlines()[0]
    ran = cto("token", "revoke", text)
    assert ran.code == 2
    assert text[-26:] not in ran.out + ran.err
