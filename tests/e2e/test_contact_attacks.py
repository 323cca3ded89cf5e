"""Attacks on the first contact, by a real attacker process on a network of its own; needs root (`enroll_network`).

What a name on the network says, who sits at an address, who has a copy of a token: none of it makes anybody trusted.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import pytest

from tests.e2e.enroll_network import (
    CONTROLLER,
    EVIL,
    MACHINE,
    NEEDS,
    SITE,
    Desk,
    Machine,
    Network,
    declared,
)
from tests.e2e.harness import CTO, Done, until

pytestmark = [pytest.mark.root, pytest.mark.fault, pytest.mark.needs(*NEEDS)]

ATTACKER = Path(__file__).with_name("contact_attacker.py")
GONE = "192.168.97.77"  # the address of a machine that is away; of a network that no cluster has inside


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("network")
    made = Network(folder)
    add = ["ip", "addr", "replace", "192.168.97.1/24", "dev", "eth0"]
    assert made.start("ctl", add, folder).wait(timeout=30) == 0
    yield made
    made.stop()


@pytest.fixture
def desk(tmp_path: Path, network: Network) -> Desk:
    return declared(Desk(tmp_path / "home", network))


def there(desk: Desk, *command: str) -> Done:
    """The program, in the controller's namespace."""
    with desk.network.running("ctl", [*CTO, *command], desk.home) as process:
        out, err = process.communicate(timeout=120)
        return Done([*command], process.returncode, out, err)


@contextmanager
def attacker(desk: Desk, *what: str) -> Iterator[list[str]]:
    """Stands in the way meanwhile. Afterwards the list has what it was told."""
    heard: list[str] = []
    process = desk.network.start("evil", [sys.executable, str(ATTACKER), *what], desk.home)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        yield heard
    finally:
        if process.poll() is None and process.stdin is not None:
            process.stdin.close()
        process.stdin = None
        heard += process.communicate(timeout=60)[0].splitlines()


def pinned(desk: Desk, name: str, address: str) -> str:
    """A machine whose host key the operator has."""
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    desk.ok("node", "add", name, "--address", address, "--host-key", key)
    return key


def stored(desk: Desk, name: str) -> dict[str, object]:
    (row,) = desk.rows("SELECT host_key, address, state FROM nodes WHERE name = ?", name)
    return row


def test_goodbyes_in_the_controllers_name_do_not_hide_it(desk: Desk, tmp_path: Path):
    with desk.opened() as place, attacker(desk, "goodbyes", EVIL):
        machine = Machine(tmp_path / "one", "one", "S1", token=desk.token(), pin=place.pin.hex())
        with desk.network.running("one", machine.program(), desk.home):
            assert machine.until("waiting")["controller"] == f"{CONTROLLER}:{place.port}"


def test_ten_thousand_names_are_five_hundred_at_most_and_move_nobody(desk: Desk):
    pinned(desk, "berlin-w-1", MACHINE)
    before = stored(desk, "berlin-w-1")
    with attacker(desk, "crowd", EVIL, "10000", "berlin-w-1"):
        look = ("discover", "--seconds", "6", "--interface", "eth0", "--output", "json")
        seen: list[dict[str, object]] = []

        def crowded() -> bool:
            done = there(desk, *look)
            assert done.returncode == 0, done.stderr
            seen[:] = json.loads(done.stdout.splitlines()[-1])["seen"]
            return len(seen) > 100

        until(crowded, "the crowd is seen", seconds=120)
    assert len(seen) <= 500
    assert stored(desk, "berlin-w-1") == before


def test_a_hundred_machines_with_one_token_at_once_let_one_in(desk: Desk):
    token = desk.token()
    own = [
        f"10.97.0.{number}" for number in range(100, 120)
    ]  # five connections a minute are allowed from each
    for address in own:
        add = desk.network.start("evil", ["ip", "addr", "replace", f"{address}/24", "dev", "eth0"], desk.home)
        assert add.wait(timeout=30) == 0
    with desk.opened() as place:
        args = ["swarm", CONTROLLER, str(place.port), token, "100", *own]
        process = desk.network.start("evil", [sys.executable, str(ATTACKER), *args], desk.home)
        out, err = process.communicate("", timeout=120)
        assert process.returncode == 0, err
        told = json.loads(out)
        assert sorted(set(told)) == ["cut", "pending", "refused"]  # sixty a minute are let in at all
        assert told.count("pending") == 1
        (row,) = desk.listed()["machines"]
        assert "proved the same token" in row["conflict"]
        assert desk.refused("reuse")
    assert desk.uses(token) == 0
    assert desk.audited("reuse")


def test_whoever_sits_at_the_address_of_a_pinned_machine_is_told_nothing(desk: Desk, tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE.read_text().replace("address: 127.66.0.2", f"address: {GONE}"))
    pinned(desk, "berlin-w-1", GONE)
    before = stored(desk, "berlin-w-1")
    with attacker(desk, "impostor", GONE) as heard:
        facts = there(desk, "facts", "gather", "--node", "berlin-w-1")
        plan = there(desk, "plan", "-f", str(site), "--node", "berlin-w-1")
        apply = there(desk, "apply", "-f", str(site), "--node", "berlin-w-1", "--yes")
    for done in (facts, plan, apply):
        text = (done.stdout + done.stderr).replace("\n", " ")
        assert done.returncode != 0 or "host key" in text, text
        assert "host key" in text, text
    assert stored(desk, "berlin-w-1") == before
    assert heard == []  # not even an attempt to authenticate


# What the controller does when it meets Talos: in its namespace, with its own adapter.
MEETS = """
import asyncio, sys
from controller.adapters.talos import GrpcTalosApi
from controller.app.ports import Identity
from inventory.errors import FleetError
from roles.access import mint_identity
from roles.secrets import create
from datetime import UTC, datetime, timedelta
import secrets

async def main(address):
    api, now = GrpcTalosApi(), datetime.now(UTC)
    bundle = create(now=now, random_bytes=secrets.token_bytes)
    made = mint_identity(bundle, ["os:admin"], now=now, lifetime=timedelta(hours=1), random_bytes=secrets.token_bytes)
    ways = (
        api.connect_maintenance(address, 50000, fingerprint="q" * 43 + "="),
        api.connect(address, 50000, Identity(made.ca, made.crt, made.key), server_name=address),
    )
    for way in ways:
        try:
            async with way as node:
                await node.apply_configuration(b"machine: {token: canary}", mode="AUTO")
            print("taken")
        except FleetError as error:
            print(f"{error.slug}: {error.what}")

asyncio.run(main(sys.argv[1]))
"""


def test_talos_is_held_to_its_fingerprint_and_to_the_clusters_authority(desk: Desk):
    with attacker(desk, "impostor", GONE) as heard:
        command = [sys.executable, "-c", MEETS, GONE]
        with desk.network.running("ctl", command, desk.home) as process:
            out, err = process.communicate(timeout=120)
    assert "taken" not in out, (out, err)
    maintenance, joined = out.splitlines()
    assert maintenance.startswith("key-mismatch: its key is "), (out, err)
    assert "its certificate is not one of this cluster for that address" in joined, (out, err)
    assert heard == []
