"""`cto license` and `cto vendor license`: from the publisher's key to a fleet that may grow."""

import pytest

from tests.unit.cli.conftest import NOW

PASSPHRASE = {"CTO_VENDOR_PASSPHRASE": "correct horse battery"}


@pytest.fixture
def publisher(cto, tmp_path):
    """Makes the key, and issues licences by what is given."""
    made = cto("vendor", "license", "key", "--out", tmp_path / "p.key", environ=PASSPHRASE)
    assert made.code == 0, made.err

    def issue(name="a.license", *argv, now=NOW):
        words = ("--key", tmp_path / "p.key", "--holder", "Acme AG", "--out", tmp_path / name, *argv)
        ran = cto("vendor", "license", "issue", *words, environ=PASSPHRASE, now=now)
        assert ran.code == 0, ran.err
        return tmp_path / name

    return issue


def test_from_key_to_use(cto, publisher, tmp_path):
    assert cto("license", "show", "--output", "json").json["nodes"] == {"allowed": 10, "counted": 0}
    file = publisher("a.license", "--nodes", "200")
    refused = cto("license", "import", file)
    assert refused.code == 2
    assert "cto license trust" in refused.err
    assert cto("license", "trust", tmp_path / "p.key.pub").code == 2  # nobody there to say yes
    assert cto("license", "trust", tmp_path / "p.key.pub", "--yes").code == 0
    assert cto("license", "import", file).code == 0
    shown = cto("license", "show", "--output", "json").json
    assert (shown["standing"], shown["nodes"]["allowed"], shown["clusters"]["allowed"]) == (
        "valid",
        200,
        None,
    )
    assert "Acme AG" in cto("license", "show").out


def test_its_end_shows_in_status_and_a_new_one_takes_its_place(cto, publisher, tmp_path):
    cto("license", "trust", tmp_path / "p.key.pub", "--yes")
    assert cto("license", "import", publisher("a.license")).code == 0
    assert cto("status", "--output", "json", now=NOW).json["needs"] == []
    soon = cto("status", "--output", "json", now=NOW.replace(year=2027, month=2, day=15)).json["needs"]
    assert [need["subject"] for need in soon] == ["controller"]
    assert "licence lic_" in soon[0]["text"]
    assert cto("license", "import", publisher("b.license", "--days", "3000")).code == 0
    assert cto("status", "--output", "json", now=NOW.replace(year=2027, month=2, day=15)).json["needs"] == []


def test_the_private_key_is_not_in_clear_and_not_overwritten(cto, publisher, tmp_path):
    assert (tmp_path / "p.key").stat().st_mode & 0o077 == 0
    again = cto("vendor", "license", "key", "--out", tmp_path / "p.key", environ=PASSPHRASE)
    assert again.code == 2
    wrong = {"CTO_VENDOR_PASSPHRASE": "another passphrase"}
    words = ("--key", tmp_path / "p.key", "--holder", "x", "--out", tmp_path / "x.license")
    ran = cto("vendor", "license", "issue", *words, environ=wrong)
    assert ran.code == 2
    assert "does not open" in ran.err
    assert not (tmp_path / "x.license").exists()


def test_one_for_another_controller_or_another_time_is_refused(cto, publisher, tmp_path):
    cto("license", "trust", tmp_path / "p.key.pub", "--yes")
    other = cto("license", "import", publisher("o.license", "--controller", "somebody-else"))
    later = cto("license", "import", publisher("l.license", "--from", "2089-01-31"))
    over = cto("license", "import", publisher("e.license", "--from", "2020-01-31", "--days", "10"))
    for ran, words in ((other, "another controller"), (later, "not yet"), (over, "ended on")):
        assert ran.code == 2
        assert words in ran.err
    mine = cto("license", "show", "--output", "json").json["controller"]
    assert cto("license", "import", publisher("m.license", "--controller", mine)).code == 0


@pytest.mark.parametrize("holder", ["a\nb", "x" * 300])
def test_a_licence_that_nobody_could_read_is_not_issued(cto, publisher, tmp_path, holder):
    words = ("--key", tmp_path / "p.key", "--holder", holder, "--out", tmp_path / "x.license")
    ran = cto("vendor", "license", "issue", *words, environ=PASSPHRASE)
    assert ran.code == 2
    assert not (tmp_path / "x.license").exists()
