"""`cto --server URL`: the same commands over the API of a controller that really runs, by TLS with a pin."""

import json
import shlex
import signal
from contextlib import closing
from datetime import timedelta

import pytest

from controller.adapters.http_queries import HttpQueries, Server
from controller.cli.remote import _ABOUT_NO_FLEET, FROM_AFAR
from inventory.errors import OperatorError, TransportError, UnknownName
from tests.unit.cli.test_serving import start, told
from tests.unit.cli.test_tree import LEAVES
from web.access.ports import NotAllowed, NotRecognized


@pytest.fixture
def remote(home, fleet):
    """A controller on this computer: its address and a token."""
    process = start(home, "serve", "--port", "0", "--output", "json")
    shown = json.loads(process.stdout.readline())
    token = told(home, "apitoken", "create", "--note", "x", "--grant", "viewer")["token"]
    yield Server(shown["url"], token)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


@pytest.fixture
def pinned(home, fleet):
    """One served by TLS with a certificate of its own: the fingerprint besides."""
    argv = ["--listen", "0.0.0.0", "--name", "127.0.0.1", "--port", "0", "--output", "json"]
    process = start(home, "serve", *argv)
    shown = json.loads(process.stdout.readline())
    token = told(home, "apitoken", "create", "--note", "x", "--grant", "viewer")["token"]
    yield Server(shown["url"], token, shown["fingerprint"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_what_reads_gives_the_same_from_afar(cto, remote):
    environ = {"CTO_TOKEN": remote.token}
    for argv in (
        ("node", "list", "--output", "json"),
        ("node", "show", "berlin-cp-1", "--output", "json"),
        ("cluster", "show", "--output", "json"),
        ("facts", "show", "berlin-cp-1", "--output", "json"),
        ("facts", "diff", "berlin-cp-1", "--output", "json"),
        ("status",),
        ("node", "list"),
    ):
        here, there = cto(*argv), cto("--server", remote.url, *argv, environ=environ)
        assert there.code == here.code == 0, (argv, there.err, here.err)
        assert there.out == here.out, argv
    seen = cto("--server", remote.url, "events", "--limit", "1000", "--output", "json", environ=environ)
    assert seen.lines == cto("events", "--limit", "1000", "--output", "json").lines


def test_what_acts_is_refused_by_name(cto, remote):
    ran = cto("--server", remote.url, "apitoken", "list", environ={"CTO_TOKEN": remote.token})
    assert ran.code == 2
    assert "own computer" in ran.err
    assert remote.token not in ran.err + ran.out


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_asks_the_server_or_refuses(cto, home, path):
    """None acts on this computer's own fleet instead. Nobody listens at that address."""
    words = shlex.split(LEAVES[path].example.splitlines()[0])[1:] if path in FROM_AFAR else path.split()
    words += {
        "enroll approve": ["--words", "a b"],
        "enroll reject": ["--reason", "not one of ours"],
        "window override": ["--yes"],
    }.get(path, [])
    ran = cto("--server", "http://127.0.0.1:1", *words, environ={"CTO_TOKEN": "x"})
    if path in FROM_AFAR:
        assert (ran.code, "127.0.0.1:1" in ran.err) == (4, True), ran.err
    elif path in _ABOUT_NO_FLEET:
        assert "own computer" not in ran.err
    else:
        assert ran.code == 2
        assert f"`cto {path}` works on the controller's own computer only" in ran.err
    assert not (home / "fleet.db").exists()


def test_the_lists_name_commands_that_are_there():
    assert LEAVES.keys() >= FROM_AFAR | _ABOUT_NO_FLEET
    assert not FROM_AFAR & _ABOUT_NO_FLEET


def test_long_lists_are_read_to_their_end(cto, home, remote):
    """Over several pages of 500, and no further than was asked."""
    from controller.wiring import open_services

    with open_services(home) as services:
        rows = [(f"run-{number}", number) for number in range(1200)]
        services.store._connection.executemany(
            "INSERT INTO runs (id, kind, state, selection, actor, queued_at)"
            " VALUES (?, 'apply', 'done', '{}', 'test', printf('2026-03-01T10:%04d', ?))",
            rows,
        )
        services.store._connection.executemany(
            "INSERT INTO rollouts (id, status, over, actor, reason, facts, head, summary, created_at, saved_at)"
            " VALUES (?, 'succeeded', 1, 'test', 'many', '{}', '{}', '{}', ?, '')",
            [(f"rollout-{number}", str(number // 7)) for number in range(1200)],
        )
        runs, rollouts = services.queries.runs(5000), services.queries.rollouts(5000)
    assert (len(runs), len(rollouts)) == (1201, 1200)  # one is the fleet's own
    with closing(HttpQueries(remote)) as queries:
        assert [run.id for run in queries.runs(5000)] == [run.id for run in runs]
        assert [run.id for run in queries.runs(3, runs[700].id)] == [run.id for run in runs[701:704]]
        assert [each.id for each in queries.rollouts(5000)] == [each.id for each in rollouts]
        assert [each.id for each in queries.rollouts(701)] == [each.id for each in rollouts[:701]]


def test_wrong_tokens_names_and_addresses(cto, remote):
    assert cto("--server", remote.url, "status", environ={"CTO_TOKEN": ""}).code == 2
    wrong = cto("--server", remote.url, "status", environ={"CTO_TOKEN": "cto_secret-canary"})
    assert wrong.code == 2
    assert "canary" not in wrong.err
    queries = HttpQueries(remote)
    with pytest.raises(UnknownName, match="no node"):
        queries.node("nobody")
    with pytest.raises(UnknownName):
        queries.node("../../etc/passwd")
    queries.close()
    with pytest.raises(TransportError):
        HttpQueries(Server("http://127.0.0.1:1/", "x")).engine()
    for url in ("ftp://x", "https://", "cto.example", "https://x/path", "http://cto.example"):
        with pytest.raises(OperatorError):
            HttpQueries(Server(url, "x"))


def test_a_server_is_held_to_its_fingerprint(pinned):
    queries = HttpQueries(pinned)
    assert [node.name for node in queries.nodes()] == ["berlin-cp-1", "berlin-w-1", "porto-1"]
    queries.close()
    other = Server(pinned.url, pinned.token, "00" * 32)
    with pytest.raises(TransportError, match="another certificate"):
        HttpQueries(other).nodes()
    with pytest.raises(TransportError, match="certificate"):
        HttpQueries(Server(pinned.url, pinned.token)).nodes()  # nobody vouches for it


def test_grants_count_from_afar(cto, home, pinned):
    told(home, "user", "add", "olga", "--grant", "viewer:site=berlin")
    made = told(
        home, "apitoken", "create", "--note", "x", "--grant", "viewer:site=berlin", "--account", "olga"
    )
    queries = HttpQueries(Server(pinned.url, made["token"], pinned.fingerprint))
    assert [node.name for node in queries.nodes()] == ["berlin-cp-1", "berlin-w-1"]
    with pytest.raises(NotAllowed):
        queries.runs()
    queries.close()
    told(home, "apitoken", "revoke", made["id"])
    with pytest.raises(NotRecognized):
        queries.nodes()


def test_orders_that_go_over_the_api(cto, home, pinned):
    """A freeze and its end, and rollouts; the audit log names the token's owner."""
    from controller.wiring import open_services
    from inventory.calendar import SiteCalendar

    with open_services(home) as services:
        services.store.declare_calendars([SiteCalendar("berlin", "Europe/Berlin")], actor="test")
    token = told(home, "apitoken", "create", "--note", "x", "--grant", "operator")["token"]
    environ = {"CTO_TOKEN": token, "CTO_FINGERPRINT": pinned.fingerprint}

    def there(*argv):
        return cto("--server", pinned.url, *argv, environ=environ)

    assert there("window", "freeze", "--reason", "audit week", "--site", "berlin").code == 0
    with open_services(home) as services:
        (freeze,) = services.store.freezes()
    assert (freeze.site, freeze.reason) == ("berlin", "audit week")
    assert freeze.actor.startswith("token:")
    assert freeze.actor.endswith(":local")
    lifted = there("window", "unfreeze", "--reason", "audit is over", "--site", "berlin", "--output", "json")
    assert lifted.code == 0, lifted.err
    assert len(lifted.json["lifted"]) == 1
    assert lifted.json["left"] == []
    asked = there(
        "window", "override", "--site", "berlin", "--reason", "a disk fails", "--yes", "--for", "2h"
    )
    assert asked.code == 0, asked.err
    with open_services(home) as services:
        (made,) = services.store.overrides()
    assert (made.site, made.until - made.since) == ("berlin", timedelta(hours=2))
    assert f"override {made.id}" in asked.out
    assert there("window", "cancel", made.id, "--reason", "not needed after all").code == 0
    assert there("window", "freeze", "--reason", "audit week", "--site", "nowhere").code == 2
    assert there("rollout", "history", "--output", "json").json == []
    assert there("rollout", "pause", "--reason", "customer calls").code == 2  # none is under way


def test_a_machine_is_let_in_from_afar(cto, home, pinned, put_enrollment):
    """By the words on its screen, which the server compares; another is turned away."""
    token = told(home, "apitoken", "create", "--note", "x", "--grant", "operator")["token"]
    environ = {"CTO_TOKEN": token, "CTO_FINGERPRINT": pinned.fingerprint}

    def there(*argv):
        return cto("--server", pinned.url, "enroll", *argv, environ=environ)

    row = put_enrollment()
    listed = there("list", "--output", "json")
    assert [each["id"] for each in listed.json["machines"]] == [row["id"]], listed.err
    assert "own screen" in there("approve", row["id"]).err
    assert "words" in there("approve", row["id"], "--words", "zoo zoo zoo zoo zoo zoo").err
    assert there("approve", row["id"], "--words", row["words"], "--address", "10.0.0.9").code == 2
    done = there("approve", row["id"], "--words", row["words"], "--as", "berlin-w-1", "--output", "json")
    assert done.code == 0, done.err
    assert done.json == {"id": row["id"], "node": "berlin-w-1"}
    other = put_enrollment(id="0" * 8, node_key="other", words="abandon " * 5 + "zoo")
    assert there("reject", other["id"], "--reason", "not one of ours").code == 0
    assert told(home, "enroll", "list", "--all")["machines"][-1]["state"] in ("rejected", "approved")
