"""Namespaces with stock daemons in them, and the program run inside one of them. No tests here.

Nothing of the system's own is touched: what a daemon writes goes to a tmpfs that only its namespace sees.
"""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from inventory.words import key_words
from tests.e2e.harness import Done, environment, told, until

CTO = Path(sys.executable).with_name("cto")  # the program that is installed
# Debian's, whatever this machine's owner made of the one in /etc.
STOCK = Path("/usr/share/openssh/sshd_config")
GATE, GATE_INSIDE, FAR = "192.168.91.2", "192.168.92.1", "192.168.92.2"
JUMP = f"root@{GATE}"
DISK, SERIAL, SIZE = "/dev/vdx", "REAL-0001", 64 * 1024**3

# The namespace lives as long as this shell, which ends when its standard input is closed. Its /dev holds none of
# the computer's disks: whatever goes wrong in a test, there is none to write to.
HOLD = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/avahi-daemon "$1/services" "$1/dev"
mount -t tmpfs tmpfs "$1/dev"
for name in null zero full random urandom tty; do
  touch "$1/dev/$name"
  mount --bind "/dev/$name" "$1/dev/$name"
done
mkdir "$1/dev/pts" "$1/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
ln -s /proc/self/fd "$1/dev/fd"
mount --rbind "$1/dev" /dev
[ ! -d /etc/avahi/services ] || mount --bind "$1/services" /etc/avahi/services
ip link set lo up
echo ready
read -r end
"""
# What the machine has for a disk is a file in its /dev; these two tell of it as of a disk. All other tools are real.
LSBLK = """#!/bin/sh
cat <<END
{{"blockdevices": [{{"name": "vdx", "path": "{disk}", "type": "disk", "size": {size}, "serial": "{serial}",
 "wwn": null, "ro": false, "rm": false, "rota": false, "log-sec": 512, "phy-sec": 512, "tran": "virtio",
 "model": null, "fstype": null, "label": null, "pttype": null, "mountpoints": [null]}}]}}
END
"""
SERVICE = """<?xml version="1.0" standalone='no'?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name>{name}</name>
  <service>
    <type>_cto-node._tcp</type><port>{port}</port>
    <txt-record>v=1</txt-record><txt-record>enroll_id={enroll_id}</txt-record>
  </service>
</service-group>
"""
AVAHI = """[server]
host-name={name}
enable-dbus=no
use-ipv6=no
allow-interfaces=outside
[publish]
publish-workstation=no
publish-hinfo=no
"""


class Computer:
    """One namespace and the daemons in it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.daemons: list[subprocess.Popen[bytes]] = []
        argv = ["unshare", "--net", "--mount", "--uts", "sh", "-c", HOLD, "hold", str(self.folder)]
        self.holder = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == b"ready\n", f"{name}: no namespace could be made"
        self.run("hostname", name)

    def inside(self, *argv: str | Path) -> list[str]:
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "-u", *map(str, argv)]

    def run(self, *argv: str | Path) -> str:
        done = subprocess.run(self.inside(*argv), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{self.name}: {argv}: {done.stderr}"
        return done.stdout

    def link(self, mine: str, other: "Computer", theirs: str, addresses: tuple[str, str]) -> None:
        peer = ["peer", "name", theirs, "netns", str(other.holder.pid)]
        self.run("ip", "link", "add", mine, "type", "veth", *peer)
        for computer, device, address in ((self, mine, addresses[0]), (other, theirs, addresses[1])):
            computer.run("ip", "addr", "add", f"{address}/24", "dev", device)
            computer.run("ip", "link", "set", device, "up", "multicast", "on")

    def sshd(self, port: int = 22) -> "Sshd":
        return Sshd(self, port)

    def avahi(self, name: str, port: int, enroll_id: str) -> None:
        (self.folder / "avahi.conf").write_text(AVAHI.format(name=self.name))
        service = SERVICE.format(name=name, port=port, enroll_id=enroll_id)
        (self.folder / "services" / f"{name}.service").write_text(service)
        program = shutil.which("avahi-daemon")
        argv = [program, "-f", self.folder / "avahi.conf", "--no-drop-root", "--no-chroot", "--no-rlimits"]
        self.daemon("avahi", *argv)

    def daemon(self, name: str, *argv: str | Path) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                self.inside(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.daemons.append(started)
        return started

    def disk(self) -> None:
        """A file that stands for a disk, with what tells of it first in the PATH of those who log in."""
        tools = self.folder / "bin"
        tools.mkdir()
        (tools / "lsblk").write_text(LSBLK.format(disk=DISK, size=SIZE, serial=SERIAL))
        (tools / "blockdev").write_text("#!/bin/sh\nexit 0\n")
        for tool in tools.iterdir():
            tool.chmod(0o755)
        self.run("truncate", "-s", str(SIZE), DISK)

    def down(self) -> None:
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait()
        self.holder.communicate()


class Sshd:
    """Debian's sshd with Debian's configuration, and its own host key."""

    def __init__(self, computer: Computer, port: int) -> None:
        self.computer, self.port = computer, port
        self.authorized = computer.folder / "authorized_keys"
        self.key = computer.folder / f"host-key-{port}"
        self.new_key()
        self.start()

    @property
    def public(self) -> str:
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    @property
    def words(self) -> str:
        return key_words(self.public)

    def new_key(self) -> None:
        for old in (self.key, self.key.with_suffix(".pub")):
            old.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def start(self) -> None:
        path = f"{self.computer.folder / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        options = {
            "Port": str(self.port),
            "PidFile": "none",
            "AuthorizedKeysFile": str(self.authorized),
            "StrictModes": "no",  # the test's folder is below /tmp
            "SetEnv": f"PATH={path}",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        program = shutil.which("sshd")
        self.process = self.computer.daemon(
            f"sshd-{self.port}", program or "sshd", "-D", "-e", "-f", STOCK, "-h", self.key, *words
        )
        wanted = f":{self.port} "
        until(lambda: wanted in self.computer.run("ss", "-Hltn"), f"sshd listens on {self.port}")

    def exchanged(self) -> None:
        """Another machine answers there: the same daemon with another key."""
        self.process.terminate()
        self.process.wait()
        self.new_key()
        self.start()


class Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.computers: list[Computer] = []

    def up(self) -> None:
        for name in ("operator", "gate", "far"):
            self.computers.append(Computer(self.folder, name))
        self.operator, self.gate, self.far = self.computers
        self.operator.link("lan", self.gate, "outside", ("192.168.91.1", GATE))
        self.operator.run("ip", "route", "add", "224.0.0.0/4", "dev", "lan")
        self.gate.link("inside", self.far, "lan", (GATE_INSIDE, FAR))
        self.far.disk()
        self.near_sshd, self.far_sshd = self.gate.sshd(), self.far.sshd()

    def down(self) -> None:
        for computer in self.computers:
            computer.down()


class Operator:
    """The program on the operator's computer, with a home of its own."""

    def __init__(self, stage: Stage, home: Path) -> None:
        self.stage, self.home = stage, home

    def introduce(self) -> None:
        """What an operator does by hand: let the controller in, and write down the jump host's key."""
        public = self.ok("key", "ssh").stdout
        for computer in (self.stage.gate, self.stage.far):
            (computer.folder / "authorized_keys").write_text(public)
        (self.home / "known_hosts").write_text(f"{GATE} {self.stage.near_sshd.public}\n")

    def argv(self, *args: str) -> list[str]:
        return self.stage.operator.inside(CTO, *args)

    def cto(self, *args: str) -> Done:
        return subprocess.run(
            self.argv(*args),
            env=environment(self.home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def expect(self, code: int, *args: str) -> Done:
        done = self.cto(*args)
        assert done.returncode == code, told(args, done, f"ended with {done.returncode}, not {code}")
        return done

    def ok(self, *args: str) -> Done:
        return self.expect(0, *args)

    def typed(self, answer: str, *args: str) -> tuple[int, str]:
        """At a terminal, with `answer` typed once the program asks. Its exit code and what the screen showed."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            self.argv(*args),
            env=environment(self.home, {"TERM": "dumb"}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        try:
            screen = _read_until(master, "[y/N]")
            os.write(master, f"{answer}\n".encode())
            screen += _read_until(master, None)
            return process.wait(timeout=60), screen
        finally:
            os.close(master)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _read_until(master: int, mark: str | None) -> str:
    """What comes from the terminal up to the mark, or up to its end."""
    text = ""
    while mark is None or mark not in text:
        ready, _, _ = select.select([master], [], [], 120)
        assert ready, f"nothing more came after {text!r}"
        try:
            data = os.read(master, 4096)
        except OSError:  # how Linux says that the other side of a pseudo-terminal is closed
            data = b""
        if not data:
            assert mark is None, f"it ended without asking: {text!r}"
            break
        text += data.decode(errors="replace")
    return text


def problems(done: Done) -> Sequence[str]:
    return [line for line in done.stderr.splitlines() if line]
