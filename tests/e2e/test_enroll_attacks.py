"""Attacks on enrolment by a real attacker process on a network of its own; needs root (`enroll_network`)."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.enroll_network import (
    ATTACKER,
    CONTROLLER,
    EVIL,
    MACHINE,
    NEEDS,
    REFUSED,
    Desk,
    Machine,
    Network,
    declared,
)
from tests.e2e.harness import until

pytestmark = [pytest.mark.root, pytest.mark.fault, pytest.mark.needs(*NEEDS)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("network"))
    yield made
    made.stop()


@pytest.fixture
def desk(tmp_path: Path, network: Network) -> Desk:
    return declared(Desk(tmp_path / "home", network))


def test_a_rival_by_mdns_is_found_out_by_its_key_and_shown(desk: Desk, tmp_path: Path):
    """It copies the hint, relays every byte with its own TLS, and the machine hears of it first."""
    network, token = desk.network, desk.token()
    with desk.opened() as place:
        hint = place.pin.hex()[:16]
        record = tmp_path / "record"
        relay = ["relay", CONTROLLER, str(place.port), EVIL, hint, str(record)]
        with network.running("evil", [sys.executable, str(ATTACKER), *relay], desk.home) as evil:
            assert evil.stdout is not None
            assert evil.stdout.readline()
            until(lambda: desk.listed()["window"]["rivals"], "the rival is shown", seconds=120)
            machine = Machine(tmp_path / "one", "one", "S1", token=token, pin=place.pin.hex())
            with network.running("one", machine.program(), desk.home) as program:
                shown = machine.until("waiting")
                assert shown["controller"] == f"{CONTROLLER}:{place.port}"
                row = desk.listed()["machines"][0]
                assert (row["words"], row["address"]) == (shown["words"], MACHINE)
                desk.ok("enroll", "approve", row["id"], "--words", shown["words"], "--as", "berlin-w-1")
                assert program.wait(timeout=60) == 0
    assert not record.exists()  # the machine had said nothing to it
    assert machine.state()["node"] == "berlin-w-1"
    assert "cto-evil at 10.97.0.66:7443" in desk.listed()["window"]["rivals"]


def test_a_flood_of_announcements_does_not_hide_the_controller(desk: Desk, tmp_path: Path):
    with desk.opened() as place:
        command = [sys.executable, str(ATTACKER), "babel", EVIL, place.pin.hex()[:16], "100"]
        with desk.network.running("evil", command, desk.home) as evil:
            assert evil.stdout is not None
            assert evil.stdout.readline()
            machine = Machine(tmp_path / "one", "one", "S1", token=desk.token(), pin=place.pin.hex())
            with desk.network.running("one", machine.program(), desk.home):
                assert machine.until("waiting")["controller"].startswith(CONTROLLER)
    assert len(desk.listed()["window"]["rivals"]) <= 20


def test_a_relay_that_a_machine_was_pinned_to_gets_nowhere_nor_does_a_replay(desk: Desk, tmp_path: Path):
    """Somebody gave the machine the attacker's key: what it proves there is worth nothing here."""
    network, token = desk.network, desk.token()
    with desk.opened() as place:
        record = tmp_path / "record"
        relay = ["relay", CONTROLLER, str(place.port), EVIL, "ff", str(record)]
        with network.running("evil", [sys.executable, str(ATTACKER), *relay], desk.home) as evil:
            assert evil.stdout is not None
            pin = json.loads(evil.stdout.readline())["pin"]
            config = {"token": token, "pin": pin, "addresses": (EVIL,), "mdns": False}
            fooled = Machine(tmp_path / "one", "one", "S1", **config)
            with network.running("one", fooled.program(), desk.home):
                assert "refused" in fooled.until("refused")["text"]
        assert desk.refused("relay")["address"] == EVIL
        assert network.attack(desk.home, "replay", CONTROLLER, place.port, record) == [REFUSED]
        assert desk.refused("replay")["times"] == 1
    assert desk.listed()["machines"] == []
    assert desk.uses(token) == 1
    assert desk.audited("relay")
    assert desk.audited("replay")


def test_guesses_use_nothing_up_and_are_told_nothing(desk: Desk):
    token = desk.token()
    with desk.opened() as place:
        assert desk.network.attack(desk.home, "guess", CONTROLLER, place.port, token, 4) == [REFUSED] * 4
        assert desk.refused("guess")["times"] == 4
    assert desk.uses(token) == 1
    assert desk.audited("guess")


def test_a_flood_is_shown_and_an_honest_machine_gets_in(desk: Desk, tmp_path: Path):
    token = desk.token()
    with desk.opened() as place:
        command = [sys.executable, str(ATTACKER), "flood", CONTROLLER, str(place.port), "300"]
        with desk.network.running("evil", command, desk.home) as evil:
            assert evil.stdout is not None
            assert evil.stdout.readline()
            machine = Machine(tmp_path / "one", "one", "S1", token=token, pin=place.pin.hex())
            with desk.network.running("one", machine.program(), desk.home):
                machine.until("waiting")
        flood = desk.refused("flood")
    assert flood["address"] == EVIL
    assert flood["times"] >= 200
    assert len(desk.rows("SELECT 1 FROM audit WHERE action LIKE 'refuse enrollment%'")) < 30


def test_half_open_slow_and_oversized_connections_are_cut(desk: Desk):
    with desk.opened() as place:
        lasted = desk.network.attack(desk.home, "stall", CONTROLLER, place.port)
        assert max(lasted) < 60  # far from for ever; the deadlines are 5 and 10 s
        assert desk.network.attack(desk.home, "oversize", CONTROLLER, place.port) == ["cut"]
        assert desk.refused("slow")["times"] == 2
        assert desk.refused("oversize")
    assert desk.audited("oversize")


def test_one_image_in_two_machines_at_once_lets_one_ask_and_shows_both(desk: Desk, tmp_path: Path):
    config = {"token": desk.token(), "mdns": False, "addresses": (CONTROLLER,)}
    with desk.opened() as place:
        one = Machine(tmp_path / "one", "one", "S1", pin=place.pin.hex(), **config)
        two = Machine(tmp_path / "two", "two", "S2", pin=place.pin.hex(), **config)
        with (
            desk.network.running("one", one.program(), desk.home),
            desk.network.running("two", two.program(), desk.home),
        ):
            assert desk.refused("reuse")["times"] >= 1
            states = until(
                lambda: (
                    s
                    if {"waiting", "refused"} == (s := {m.state().get("state") for m in (one, two)})
                    else None
                ),
                "one waits and one is refused",
                seconds=120,
            )
            assert states
        (row,) = desk.listed()["machines"]
        assert "proved the same token" in row["conflict"]
        assert desk.uses(config["token"]) == 0
        refused = desk.cto("enroll", "approve", row["id"], "--words", row["words"], "--as", "berlin-w-1")
        assert (refused.returncode, "in conflict" in refused.stderr) == (2, True)


def test_an_expired_token_in_an_image(desk: Desk, tmp_path: Path):
    token = desk.token()
    with desk.opened() as place:
        with sqlite3.connect(desk.home / "fleet.db") as store:
            store.execute("UPDATE tokens SET expires_at = '2026-01-01T00:00:00.000Z'")
        config = {"token": token, "pin": place.pin.hex(), "mdns": False, "addresses": (CONTROLLER,)}
        machine = Machine(tmp_path / "one", "one", "S1", **config)
        with desk.network.running("one", machine.program(), desk.home):
            machine.until("refused")
            assert desk.refused("expired")["token"] == token[5:15]
    assert desk.listed()["machines"] == []
