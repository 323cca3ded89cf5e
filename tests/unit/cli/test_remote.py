"""`cto --server URL`: the same commands over the API of a controller that really runs, by TLS with a pin."""

import json
import signal

import pytest

from controller.adapters.http_queries import HttpQueries, Server
from inventory.errors import OperatorError, TransportError, UnknownName
from tests.unit.cli.test_serving import start, told
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
    assert there("window", "override", "--site", "berlin", "--reason", "a disk fails", "--yes").code == 2
    assert there("window", "freeze", "--reason", "audit week", "--site", "nowhere").code == 2
    assert there("rollout", "history", "--output", "json").json == []
    assert there("rollout", "pause", "--reason", "customer calls").code == 2  # none is under way
