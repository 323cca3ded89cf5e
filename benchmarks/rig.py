"""One sshd, many hosts: every address of 127.0.0.0/8 is a host. Measures nothing.

OpenSSH allows 16 ListenAddress lines, so it binds all addresses and lets in only who comes from 127.*.
Two daemons run: one with the default key exchange, one that offers curve25519 only, so that the share of
key exchange in a difference can be told (paramiko and asyncssh don't offer sntrup761, OpenSSH picks it).
They run in a mount namespace of their own where the account's shell is /bin/sh: start-up files of the machine that
we measure on (version managers and such) would otherwise be paid for by every command of every contender.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure

USER = "root"
PORTS = {"default": 2622, "equal": 2623}
_START = 'mount --bind "$1" /etc/passwd && exec "$2" -D -f "$3"'
KEX = "curve25519-sha256,curve25519-sha256@libssh.org"


@dataclass(frozen=True)
class Rig:
    folder: Path
    key: Path
    host_key: str  # "ssh-ed25519 AAAA…"
    known_hosts: Path
    pids: dict[str, int]  # of the listening daemons

    def server_cpu(self, variant: str, *, patience: float = 20) -> float:
        """Seconds used by the daemon, its connections and what ran in them, once all connections are gone."""
        for _ in range(int(patience / 0.05)):
            if not measure.children(self.pids[variant]):
                break
            time.sleep(0.05)
        return measure.cpu(self.pids[variant])

    def hosts(self, count: int) -> list[str]:
        return [f"127.77.{1 + i // 200}.{1 + i % 200}" for i in range(count)]


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def _config(folder: Path, variant: str) -> str:
    lines = [
        f"Port {PORTS[variant]}",
        "ListenAddress 0.0.0.0",
        f"HostKey {folder}/host",
        f"PidFile {folder}/{variant}.pid",
        f"AuthorizedKeysFile {folder}/client.pub",
        f"AllowUsers {USER}@127.*",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "UseDNS no",
        "PrintLastLog no",
        "PrintMotd no",
        "StrictModes no",
        "LoginGraceTime 300",
        "MaxStartups 4000:1:4000",
        "Subsystem sftp internal-sftp",
    ]
    return "\n".join([*lines, f"KexAlgorithms {KEX}"] if variant == "equal" else lines) + "\n"


def _passwd(text: str) -> str:
    lines = (line.split(":") for line in text.splitlines())
    return "".join(":".join([*f[:6], "/bin/sh"] if f[0] == USER else f) + "\n" for f in lines)


def _free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise SystemExit(
            f"port {port} is taken: another benchmark runs, or its sshd was left behind"
        ) from None


def _wait(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"sshd does not listen on port {port}")


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """Starts both daemons, ends them afterwards. Needs root (sshd logs in as the user it runs as)."""
    sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    if sshd is None or os.geteuid() != 0:
        raise SystemExit(
            "the benchmarks need root and Debian's openssh-server: run scripts/system.sh as root first"
        )
    Path("/run/sshd").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="cto-bench-"))
    host_key = _key(folder / "host")
    _key(folder / "client")
    known = folder / "known_hosts"
    addresses = [f"127.77.{1 + i // 200}.{1 + i % 200}" for i in range(400)]
    known.write_text("".join(f"[{a}]:{p} {host_key}\n" for p in PORTS.values() for a in addresses))
    (folder / "passwd").write_text(_passwd(Path("/etc/passwd").read_text()))
    daemons = {}
    try:
        for variant, port in PORTS.items():
            _free(port)
            config = folder / f"{variant}.conf"
            config.write_text(_config(folder, variant))
            daemons[variant] = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", _START, "sh", str(folder / "passwd"), sshd, str(config)],
                start_new_session=True,
            )
            _wait(port)
        yield Rig(folder, folder / "client", host_key, known, {v: d.pid for v, d in daemons.items()})
    finally:
        for daemon in daemons.values():
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)
