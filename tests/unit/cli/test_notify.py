"""`cto notify`: what is kept, what is shown, what never is."""

import pytest

MAIL = ("--set", "host=mail.example.org", "--set", "from=cto@example.org", "--set", "to=ops@example.org")


def test_add_list_remove(cto, home):
    assert cto("notify", "list").out.startswith("nobody")
    added = cto("notify", "add", "email", "ops", *MAIL, "--topic", "hands")
    assert added.code == 0, added.err
    (row,) = cto("notify", "list", "--output", "json").json
    assert (row["name"], row["kind"], row["topics"], row["settings"]["port"]) == (
        "ops",
        "email",
        ["hands"],
        "587",
    )
    assert "mail.example.org" not in cto("notify", "list").out
    assert cto("notify", "remove", "ops").code == 0
    assert cto("notify", "list", "--output", "json").json == []


def test_a_secret_comes_from_a_file_and_is_in_clear_nowhere(cto, home, tmp_path):
    (tmp_path / "key").write_text("correct-horse-battery\n")
    hook = ("notify", "add", "webhook", "chat", "--set", "url=https://h.example.org/x")
    refused = cto(*hook)
    assert refused.code == 2
    assert "--secret-file" in refused.err
    assert cto(*hook, "--secret-file", tmp_path / "key").code == 0
    assert cto(*hook, "--topic", "wave").code == 0  # changed, without the key again
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"correct-horse" not in held


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("add", "pigeon", "x"), "email, webhook"),
        (("add", "email", "X!", *MAIL), "small letters"),
        (("add", "email", "x", "--set", "host"), "KEY=VALUE"),
        (("add", "email", "x", "--set", "colour=red"), "colour"),
        (("add", "email", "x", *MAIL, "--topic", "weather"), "hands"),
        (("remove", "x"), "notify list"),
        (("test", "x"), "notify list"),
    ],
)
def test_wrong_input(cto, argv, words):
    ran = cto("notify", *argv)
    assert ran.code == 2
    assert words in ran.err


def test_a_try_says_what_is_wrong(cto):
    cto("notify", "add", "email", "ops", "--set", "host=127.0.0.1", "--set", "port=1", *MAIL[2:])
    ran = cto("notify", "test", "ops")
    assert ran.code == 4
    assert "127.0.0.1:1" in ran.err
