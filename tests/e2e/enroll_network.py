"""A network of namespaces with a controller, two machines and an attacker, and the programs on it; needs root.

Four namespaces on one bridge. A stock avahi-daemon runs beside the controller and beside the first machine, as it
does on many computers and in our image. Attacks nothing: that is `enroll_attacker`.
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

from iso.enroll.config import EnrollConfig
from roles.enrollment.invitation import Invitation
from tests.e2e.harness import CTO, ProgramHome, environment, until

ROOT = Path(__file__).parents[2]
ATTACKER = Path(__file__).with_name("enroll_attacker.py")
SITE = Path(__file__).parents[1] / "fixtures" / "cli" / "site.yaml"
CONTROLLER, MACHINE, OTHER, EVIL = "10.97.0.1", "10.97.0.2", "10.97.0.4", "10.97.0.66"
REFUSED = '{"type":"refused","v":1}\n'
NEEDS = ("ip", "unshare", "nsenter", "avahi-daemon")

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


def declared(desk: Desk) -> Desk:
    """With what its site file says."""
    from controller.wiring import open_services
    from inventory.resolve import load_files

    with open_services(desk.home) as services:
        services.store.declare(load_files({str(SITE): SITE.read_text()}).fleet, actor="ada")
    return desk
