"""The checks of `cto doctor`: is this computer fit to be the controller? Each finding comes with its fix.

Mends nothing, and creates nothing: a home that is not there yet is fine. Add a check by writing a
function and naming it in `CHECKS`.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from controller.cli import names
from controller.store.home import Home
from controller.store.lock import holder
from inventory.wording import count
from web.ports import EXIT_DONE, EXIT_INPUT, EXIT_NODE

Level = Literal["good", "warn", "bad"]
MDNS_GROUP, MDNS_PORT = "224.0.0.251", 5353  # RFC 6762
_OLDEST_PYTHON = (3, 11)
_GIB = 1024**3
_UP, _LOOPBACK, _MULTICAST = 0x1, 0x8, 0x1000  # net/if.h
_OPEN_FILES = 1024  # what 200 machines at once need, with room


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    level: Level
    what: str
    fix: str = ""
    network: bool = False  # is it the network's fault rather than this computer's?


@dataclass(frozen=True, slots=True)
class Known:
    """What the store says, as far as it could be read."""

    nodes: int = 0
    jumps: tuple[str, ...] = ()
    time_floor: str = ""  # the latest time that was written down
    interrupted: int = 0  # runs that nobody works on although they are marked as running
    problem: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    home: Home
    now: datetime
    known: Known
    sys: Path = Path("/sys/class/net")


def examine(around: Surroundings) -> Iterator[Finding]:
    """All findings, in order. A check that fails itself is a finding too, and stops no other."""
    for check in CHECKS:
        try:
            yield from check(around)
        except OSError as error:
            yield Finding(check.__name__, "warn", f"could not be checked: {error}", "look at it by hand")


def exit_code(findings: Iterable[Finding]) -> int:
    """0 unless something is bad; then whose fault it is."""
    bad = [finding for finding in findings if finding.level == "bad"]
    if not bad:
        return EXIT_DONE
    return EXIT_NODE if all(finding.network for finding in bad) else EXIT_INPUT


def python(_around: Surroundings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield Finding("python", "bad", f"Python {version}", "install Python 3.11 or newer")
    else:
        yield Finding("python", "good", f"Python {version}")


def import_names(_around: Surroundings) -> Iterator[Finding]:
    foreign = names.foreign_owners(names.installed_owners())
    if foreign:
        yield Finding("import names", "bad", names.sentence(foreign), names.FIX)
    else:
        yield Finding("import names", "good", "ours alone")


def clock(around: Surroundings) -> Iterator[Finding]:
    from web.present import parse_time

    last = parse_time(around.known.time_floor)
    if last is not None and around.now < last - timedelta(minutes=5):
        what = f"the clock is behind what was recorded here already ({last:%Y-%m-%d %H:%M} UTC)"
        yield Finding("clock", "bad", what, "set the clock, and let NTP keep it: timedatectl set-ntp true")
    elif _output("timedatectl", "show", "-p", "NTPSynchronized", "--value") == "no":
        yield Finding("clock", "warn", "not synchronized by NTP", "timedatectl set-ntp true")
    else:
        yield Finding("clock", "good", f"{around.now:%Y-%m-%d %H:%M:%S} UTC")


def interfaces(around: Surroundings) -> Iterator[Finding]:
    """Which interfaces could carry multicast, and whether the system lets us join the group of mDNS."""
    found = list(_interfaces(around.sys))
    able = [name for name, flags in found if flags & _MULTICAST and flags & _UP and not flags & _LOOPBACK]
    if not able:
        fix = "connect a network; machines can also be named by address: cto node add NAME --address A"
        yield Finding(
            "interfaces", "warn", "none that is up and can multicast: cto discover will see nothing", fix
        )
        return
    yield Finding("interfaces", "good", f"up, can multicast: {', '.join(able)}")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            member = socket.inet_aton(MDNS_GROUP) + socket.inet_aton("0.0.0.0")  # noqa: S104 - "any interface"
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError as error:
        fix = f"add a route: ip route add 224.0.0.0/4 dev {able[0]}"
        yield Finding("multicast", "warn", f"the group of mDNS can't be joined ({error.strerror})", fix)
    else:
        yield Finding("multicast", "good", f"{MDNS_GROUP} can be joined")


def _interfaces(folder: Path) -> Iterator[tuple[str, int]]:
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        flags = entry / "flags"
        if flags.is_file():
            yield entry.name, int(flags.read_text(encoding="ascii").strip(), 16)


def firewall(_around: Surroundings) -> Iterator[Finding]:
    rules = _output("nft", "list", "ruleset") or _output("iptables", "-S")
    allow = f"allow UDP port {MDNS_PORT} in, on the network of the machines"
    if rules is None:
        what = f"its rules can't be read by this account; if cto discover sees nothing, {allow}"
        yield Finding("firewall", "good", what)
    elif drops_mdns(rules):
        yield Finding("firewall", "warn", f"drops what comes in, and no rule names UDP {MDNS_PORT}", allow)
    else:
        yield Finding("firewall", "good", "no rule in the way of mDNS was found")


def drops_mdns(rules: str) -> bool:
    """Does this text of nft or iptables rules drop incoming packets without an exception for mDNS?"""
    drops = "-P INPUT DROP" in rules or any(
        "hook input" in line and ("policy drop" in line or "policy reject" in line)
        for line in rules.splitlines()
    )
    return drops and str(MDNS_PORT) not in rules and "mdns" not in rules


def disk_space(around: Surroundings) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest(around.home.root)).free
    what = f"{free / _GIB:.1f} GiB free at {around.home.root}"
    fix = "free some space, or choose another place with CTO_HOME"
    level: Level = "good" if free >= 2 * _GIB else "warn" if free >= _GIB // 4 else "bad"
    yield Finding("disk space", level, what, "" if level == "good" else fix)


def _nearest(path: Path) -> Path:
    """The path, or the folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path


def permissions(around: Surroundings) -> Iterator[Finding]:
    home = around.home
    place = _nearest(home.root)
    if not place.is_dir():
        yield Finding("home", "bad", f"{place} is not a directory", "choose another home: cto --home DIR …")
        return
    if not os.access(place, os.W_OK | os.X_OK):
        fix = "mount it for writing or mend its permissions, or choose another home: cto --home DIR …"
        yield Finding("home", "bad", f"{place} can't be written", fix)
        return
    if not home.root.exists():
        yield Finding("home", "good", f"{home.root} is made at first use")
        return
    private = [path for path in (home.root, home.key, home.ssh_key, home.database) if path.exists()]
    open_ones = [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in open_ones:
        yield Finding("home", "bad", f"others can read {path}", f"chmod go= {path}")
    if not open_ones:
        yield Finding("home", "good", f"{home.root} is private")


def store(around: Surroundings) -> Iterator[Finding]:
    home = around.home
    if around.known.problem:
        yield Finding("store", "bad", around.known.problem, around.known.fix)
        return
    if not home.database.exists():
        yield Finding("store", "good", "nothing is kept yet")
        return
    if not home.key.exists():
        fix = f"put what cto key export wrote into {home.key}"
        yield Finding("store", "bad", "the key that opens its secrets is missing", fix)
    else:
        yield Finding("store", "good", f"whole, {count(around.known.nodes, 'node')}")


def engine(around: Surroundings) -> Iterator[Finding]:
    pid = holder(around.home)
    if pid:
        yield Finding("engine", "good", f"at work, pid {pid}")
    elif around.known.interrupted:
        what = f"the last one ended in the middle of {count(around.known.interrupted, 'run')}"
        yield Finding("engine", "warn", what, "nothing is lost: cto apply goes on where it stopped")
    else:
        yield Finding("engine", "good", "at rest")


def open_files(_around: Surroundings) -> Iterator[Finding]:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES:
        yield Finding("open files", "warn", f"at most {soft} at once", f"ulimit -n {_OPEN_FILES * 4}")
    else:
        yield Finding("open files", "good", "enough for 200 machines at once")


def tools(_around: Surroundings) -> Iterator[Finding]:
    missing = [tool for tool in ("kubectl", "talosctl") if shutil.which(tool) is None]
    have = "not needed by cto, but handy for you" if missing else "kubectl and talosctl are here"
    yield Finding("tools", "good", f"{' and '.join(missing)} not found: {have}" if missing else have)


def jump_hosts(around: Surroundings) -> Iterator[Finding]:
    for jump in sorted(set(around.known.jumps)):
        host, port = _jump_address(jump)
        try:
            with socket.create_connection((host, port), timeout=3):
                yield Finding("jump host", "good", f"{host}:{port} answers")
        except OSError as error:
            fix = "check that it is on, and that this network may reach it"
            yield Finding("jump host", "bad", f"{host}:{port} does not answer ({error})", fix, network=True)


def _jump_address(jump: str) -> tuple[str, int]:
    host, sign, port = jump.rpartition("@")[2].rpartition(":")
    return (host.strip("[]"), int(port)) if sign and port.isdigit() else (jump.rpartition("@")[2], 22)


def _output(*argv: str) -> str | None:
    """What a tool prints, None if it is not there or not allowed."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


CHECKS: tuple[Callable[[Surroundings], Iterator[Finding]], ...] = (
    python,
    import_names,
    clock,
    interfaces,
    firewall,
    disk_space,
    permissions,
    store,
    engine,
    open_files,
    tools,
    jump_hosts,
)
