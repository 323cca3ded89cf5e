"""Attacks on enrolment by a real attacker process on a network of its own; needs root.

Four namespaces on one bridge: the controller, two machines, the attacker. A stock avahi-daemon runs beside the
controller and beside the first machine, as it does on many computers and in our image.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import pytest

from iso.enroll.config import EnrollConfig
from roles.enrollment.invitation import Invitation
from tests.e2e.harness import CTO, ProgramHome, environment, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.fault,
    pytest.mark.needs("ip", "unshare", "nsenter", "avahi-daemon", "openssl"),
]

ROOT = Path(__file__).parents[2]
ATTACKER = Path(__file__).with_name("enroll_attacker.py")
SITE = Path(__file__).parents[1] / "fixtures" / "cli" / "site.yaml"
CONTROLLER, MACHINE, OTHER, EVIL = "10.97.0.1", "10.97.0.2", "10.97.0.4", "10.97.0.66"
REFUSED = '{"type":"refused","v":1}\n'

STAGE = textwrap.dedent(
    """
    set -e
    mount -t tmpfs tmpfs /run
    ip link set lo up
    ip link add br0 type bridge
    ip link set br0 type bridge mcast_snooping 0 2>/dev/null || true
    ip link set br0 up
    for pair in ctl:10.97.0.1 one:10.97.0.2 two:10.97.0.4 evil:10.97.0.66; do
      name="${pair%%:*}"
      ip netns add "$name"
      ip link add "v-$name" type veth peer name eth0 netns "$name"
      ip link set "v-$name" master br0 up
      ip -n "$name" link set lo up
      ip -n "$name" addr add "${pair##*:}/24" dev eth0
      ip -n "$name" link set eth0 up
      ip -n "$name" route add 224.0.0.0/4 dev eth0
    done
    for name in ctl one; do
      ip netns exec "$name" sh -c 'mount -t tmpfs tmpfs /run; mkdir /run/avahi-daemon; exec avahi-daemon -f "$0" \
        --no-drop-root --no-chroot --no-rlimits' "$1/avahi.conf" 2>"$1/avahi-$name.log" &
    done
    echo ready
    read word
    """
)


def _started(log: Path) -> bool:
    """Whether avahi-daemon says so; the shell in the background may not have made the file yet."""
    return log.exists() and "startup complete" in log.read_text()


class Network:
    """Runs programs in its namespaces; all end with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "avahi.conf").write_text(
            "[server]\nenable-dbus=no\nuse-ipv6=no\nallow-interfaces=eth0\n"
            "[publish]\npublish-workstation=no\npublish-hinfo=no\n"
        )
        command = [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            STAGE,
            "stage",
        ]
        self._stage = subprocess.Popen(
            [*command, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._stage.stdout is not None
        assert self._stage.stdout.readline() == "ready\n"
        children = Path(f"/proc/{self._stage.pid}/task/{self._stage.pid}/children")
        self._pid = children.read_text().split()[0]
        logs = [folder / f"avahi-{name}.log" for name in ("ctl", "one")]
        until(lambda: all(_started(log) for log in logs), "avahi-daemon answers")

    def start(self, name: str, command: list[str], home: Path) -> "subprocess.Popen[str]":
        inside = ["nsenter", "-t", self._pid, "--net", "--mount", "ip", "netns", "exec", name, *command]
        return subprocess.Popen(
            inside,
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )

    @contextmanager
    def running(self, name: str, command: list[str], home: Path) -> Iterator["subprocess.Popen[str]"]:
        process = self.start(name, command, home)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)

    def attack(self, home: Path, what: str, *args: object) -> list:
        process = self.start("evil", [sys.executable, str(ATTACKER), what, *map(str, args)], home)
        out, err = process.communicate("", timeout=120)
        assert process.returncode == 0, err
        return json.loads(out)

    def stop(self) -> None:
        self._stage.kill()
        self._stage.communicate()


class Desk(ProgramHome):
    """A controller's home, with enrolment opened in the controller's namespace."""

    def __init__(self, home: Path, network: Network) -> None:
        super().__init__(home)
        self.network = network

    def token(self) -> str:
        args = ("token", "create", "--site", "berlin", "--role", "worker", "--output", "json")
        return str(json.loads(self.ok(*args).stdout)["token"])

    @contextmanager
    def opened(self) -> Iterator[Invitation]:
        command = [*CTO, "enroll", "open", "--interface", "eth0", "--output", "json"]
        with self.network.running("ctl", command, self.home) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            yield Invitation.parse(json.loads(line)["open"]["invitations"][0])

    def listed(self) -> dict:
        return json.loads(self.ok("enroll", "list", "--output", "json").stdout)

    def refused(self, reason: str) -> dict:
        return until(
            lambda: next((row for row in self.listed()["refused"] if row["reason"] == reason), None),
            f"{reason} is shown",
            seconds=120,
        )

    def uses(self, token: str) -> int:
        return int(self.rows("SELECT uses FROM tokens WHERE id = ?", token[5:15])[0]["uses"])

    def audited(self, reason: str) -> bool:
        return bool(self.rows("SELECT 1 FROM audit WHERE action = ?", f"refuse enrollment: {reason}"))


class Machine:
    """The program of the booted image, on a root of its own."""

    def __init__(self, folder: Path, name: str, serial: str, **config: object) -> None:
        self.root, self.name = folder, name
        for path, text in {
            "etc/cto/enroll.json": EnrollConfig(**config).to_json(),  # type: ignore[arg-type]
            "run/ssh/host_ed25519.pub": asyncssh.generate_private_key("ssh-ed25519")
            .export_public_key()
            .decode(),
            "proc/sys/kernel/hostname": f"cto-{serial.lower()}\n",
            "sys/class/dmi/id/product_serial": f"{serial}\n",
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)

    def program(self) -> list[str]:
        code = "import sys; from pathlib import Path; from iso.environment.enroll import main"
        return [sys.executable, "-c", f"{code}; sys.exit(main(Path(sys.argv[1])))", str(self.root)]

    def state(self) -> dict:
        path = self.root / "run/cto/enroll-state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def until(self, state: str) -> dict:
        return until(
            lambda: found if (found := self.state()).get("state") == state else None,
            f"{self.root.name} is {state}; it is {self.state()}",
            seconds=120,
        )


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network(tmp_path_factory.mktemp("network"))
    yield made
    made.stop()


@pytest.fixture
def desk(tmp_path: Path, network: Network) -> Desk:
    made = Desk(tmp_path / "home", network)
    from controller.wiring import open_services
    from inventory.resolve import load_files

    with open_services(made.home) as services:
        services.store.declare(load_files({str(SITE): SITE.read_text()}).fleet, actor="ada")
    return made


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
        desk.cto("token", "list")
        import sqlite3

        with sqlite3.connect(desk.home / "fleet.db") as store:
            store.execute("UPDATE tokens SET expires_at = '2026-01-01T00:00:00.000Z'")
        config = {"token": token, "pin": place.pin.hex(), "mdns": False, "addresses": (CONTROLLER,)}
        machine = Machine(tmp_path / "one", "one", "S1", **config)
        with desk.network.running("one", machine.program(), desk.home):
            machine.until("refused")
            assert desk.refused("expired")["token"] == token[5:15]
    assert desk.listed()["machines"] == []
