"""A network of its own for virtual machines: a namespace with a bridge, DHCP and taps. Needs root.

Nothing of it can be reached from outside, and nothing in it reaches out.
"""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from inventory.errors import CommandFailed

PREFIX = "192.168.98"  # in no cluster's default pod or service range
GATEWAY = f"{PREFIX}.1"


class Bridge:
    """`name` is that of the namespace."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder
        self._dnsmasq: subprocess.Popen[bytes] | None = None

    @property
    def inside(self) -> tuple[str, ...]:
        """What to put before a command that shall run in this network."""
        return ("ip", "netns", "exec", self.name)

    def start(self, reserved: Mapping[str, str] | None = None) -> None:
        """`reserved`: MAC to address, for machines whose address must be known beforehand."""
        self._folder.mkdir(parents=True, exist_ok=True)
        _run("ip", "netns", "add", self.name)
        for line in (
            "ip link set lo up",
            "ip link add br0 type bridge mcast_snooping 0 forward_delay 0",
            f"ip addr add {GATEWAY}/24 dev br0",
            "ip link set br0 up",
            "ip route add 224.0.0.0/4 dev br0",
        ):
            _run(*self.inside, *line.split())
        leases, pid = self._folder / "leases", self._folder / "dnsmasq.pid"
        options = [
            *("-k", "-C", "/dev/null", "--port=0", "--interface=br0", "--bind-interfaces", "--user=root"),
            *(f"--dhcp-range={PREFIX}.10,{PREFIX}.60,1h", f"--dhcp-leasefile={leases.absolute()}"),
            f"--pid-file={pid.absolute()}",
            *(f"--dhcp-host={mac},{address}" for mac, address in (reserved or {}).items()),
        ]
        with (self._folder / "dnsmasq.log").open("wb") as log:
            self._dnsmasq = subprocess.Popen([*self.inside, "dnsmasq", *options], stdout=log, stderr=log)

    def join_host(self, name: str) -> None:
        """Puts this computer on the bridge as well, through an interface `name`."""
        _run("ip", "link", "add", name, "type", "veth", "peer", "name", "host0", "netns", self.name)
        _run(*self.inside, "ip", "link", "set", "host0", "master", "br0", "up")
        _run("ip", "addr", "add", f"{PREFIX}.254/24", "dev", name)
        _run("ip", "link", "set", name, "up")

    @staticmethod
    def leave_host(name: str) -> None:
        """At once: the kernel takes its time to empty a namespace whose last process was killed."""
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)

    @property
    def pid(self) -> int:
        """Of dnsmasq."""
        return self._dnsmasq.pid if self._dnsmasq is not None else 0

    def tap(self, name: str) -> str:
        """A new interface for one machine."""
        for line in (f"ip tuntap add {name} mode tap", f"ip link set {name} master br0 up"):
            _run(*self.inside, *line.split())
        return name

    def stop(self) -> None:
        """Ends DHCP and removes the namespace with all in it."""
        if self._dnsmasq is not None:
            self._dnsmasq.send_signal(signal.SIGTERM)
            self._dnsmasq.wait()
            self._dnsmasq = None
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"{' '.join(_short(argv))}: {done.stderr.strip()}", fix="this needs root")


def _short(argv: Sequence[str]) -> Sequence[str]:
    return argv[4:] if argv[:3] == ("ip", "netns", "exec") else argv
