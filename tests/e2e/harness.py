"""What end-to-end tests drive the program with: homes, a farm of machines, effects counted from the lab's own log.

Decides nothing about the product: it starts `cto` as a user would and reads what the lab's machines saw.
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import yaml

from controller.app.context import target_of
from controller.app.lab import KUBERNETES, TALOS, pin_lab
from controller.wiring import open_services
from inventory.errors import FleetError
from inventory.lifecycle import INSTALL_PATH, KILL_POINTS, NodeState, Transition, remaining
from iso.lab import client
from iso.lab.image import LabImage, write_image
from iso.lab.sitefile import site_file
from iso.lab.spec import LabInfo, LabSpec, MachineInfo

CTO = [sys.executable, "-c", "from controller.cli.start import main; main()"]
ROOT = Path(__file__).parents[2]
Done = subprocess.CompletedProcess[str]
T = TypeVar("T")
F = TypeVar("F", bound="FarmHome")
KILLED = -signal.SIGKILL


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CTO_")}
    # Members of etcd are let in two minutes apart; nobody needs that long to see it in a test.
    ours = {"PYTHONPATH": str(ROOT), "CTO_HOME": str(home), "CTO_STABLE_SECONDS": "0.2"}
    return {**clean, **ours, **(extra or {})}


def until(probe: Callable[[], T | None], what: str, *, seconds: float = 60, pause: float = 0.05) -> T:
    """The first answer of `probe` that is something; fails with `what` after `seconds`.

    None, False and what is empty mean "not yet": a machine that reboots has the host key "".
    """
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {seconds:g} s: {what}")
        time.sleep(pause)


def _most(events: Sequence[Mapping[str, Any]]) -> str:
    """Which events there are many of."""
    counts = Counter(str(event["event"]) for event in events)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common(4))


class ProgramHome:
    """One `$CTO_HOME`, and the program run on it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def site(self) -> Path:
        return self.home / "lab" / "site.yaml"

    @property
    def lab(self) -> Path:
        """The home whose lab the machines are in."""
        return self.home

    def cto(self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 120) -> Done:
        with ended(self.start(*args, env=env)) as process:
            try:
                out, errors = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                out, errors = process.communicate(timeout=30)
                done = Done([*args], process.returncode, out, errors)
                raise AssertionError(told(args, done, f"did not end within {timeout:g} s")) from None
            return Done([*args], process.returncode, out, errors)

    def expect(
        self, code: int, *args: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> Done:
        done = self.cto(*args, env=env, timeout=timeout)
        assert done.returncode == code, told(args, done, f"ended with {done.returncode}, not {code}")
        return done

    def ok(self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 120) -> Done:
        return self.expect(0, *args, env=env, timeout=timeout)

    def apply(self, *args: str, code: int = 0, env: Mapping[str, str] | None = None) -> Done:
        return self.expect(code, "apply", "-f", str(self.site), "--yes", *args, env=env)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """The program in the background, in a process group of its own."""
        return subprocess.Popen(
            [*CTO, *args],
            env=environment(self.home, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start_apply(self, *args: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        return self.start("apply", "-f", str(self.site), "--yes", *args, env=env)

    # --- the store, read from outside ---

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Read-only; empty while there is no store yet."""
        if not (self.home / "fleet.db").exists():
            return []
        connection = sqlite3.connect(f"file:{self.home / 'fleet.db'}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, values)]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            connection.close()

    def node_state(self, name: str) -> str:
        found = self.rows("SELECT state FROM nodes WHERE name = ?", name)
        return str(found[0]["state"]) if found else ""

    def cluster_state(self, name: str) -> str:
        found = self.rows("SELECT state FROM clusters WHERE name = ?", name)
        return str(found[0]["state"]) if found else ""

    def open_step(self, step: str, subject: str = "") -> bool:
        """Whether this step is under way now."""
        sql = "SELECT 1 FROM steps WHERE step = ? AND outcome = 'started' AND ? IN ('', subject)"
        return bool(self.rows(sql, step, subject))

    def done_steps(self, subject: str) -> Counter[str]:
        found = self.rows("SELECT step FROM steps WHERE subject = ? AND outcome = 'done'", subject)
        return Counter(row["step"] for row in found)

    def check_store(self) -> None:
        """The file is whole, nothing points to nothing, no step is open, the audit chain verifies and has exactly
        one row for each finished step."""
        assert self.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert self.rows("PRAGMA foreign_key_check") == []
        assert self.rows("SELECT * FROM steps WHERE outcome = 'started'") == []
        assert self.rows("SELECT * FROM runs WHERE state IN ('queued', 'running')") == []
        steps = self.rows("SELECT kind || '/' || subject AS object, step FROM steps WHERE outcome = 'done'")
        finished = Counter((row["object"], f"finish {row['step']}: done") for row in steps)
        audited = self.rows(
            "SELECT object, action FROM audit WHERE action LIKE 'finish %: done' AND object NOT LIKE 'run/%'"
        )
        assert Counter((row["object"], row["action"]) for row in audited) == finished
        verified = json.loads(self.ok("audit", "verify", "--output", "json").stdout)
        assert verified["ok"] is True, verified

    # --- the lab ---

    def info(self) -> LabInfo:
        info = client.info(self.lab)
        assert info is not None, "the lab is gone"
        return info

    def machine(self, name: str) -> MachineInfo:
        return self.info().machine(name)

    def log(self, name: str) -> list[dict[str, Any]]:
        """What the machine was asked and did; fails if the lab forgot the beginning."""
        answer = client.command(self.lab, {"op": "log", "machine": name, "limit": 100_000})
        events = list(answer["events"])
        assert answer["total"] == len(events) < 2000, (
            f"the lab keeps 2000 events a machine: this test needs fewer ({_most(events)})"
        )
        return events

    def effects(self, name: str) -> "Effects":
        return Effects.of(self.log(name))

    def fault(self, name: str, kind: str, **options: Any) -> None:
        client.command(self.lab, {"op": "fault", "machine": name, "kind": kind, "options": options})

    def clear(self, name: str, kind: str = "") -> None:
        client.command(self.lab, {"op": "clear", "machine": name, "kind": kind})


def told(args: object, done: Done, what: str) -> str:
    return f"{args} {what}\n--- stdout\n{done.stdout[-3000:]}\n--- stderr\n{done.stderr[-3000:]}"


def last_json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found


class LabHome(ProgramHome):
    """A home with its own lab in it, started by `cto lab up`."""

    def up(self, mixed: str, *extra: str, seed: str) -> None:
        for attempt in range(5):  # another lab may hold the addresses that follow from the seed
            args = (
                "lab",
                "up",
                "--mixed",
                mixed,
                "--boot-seconds",
                "0.1",
                "--seed",
                f"{seed}/{attempt}",
                *extra,
            )
            done = self.cto(*args)
            if done.returncode == 0:
                return
            if "addresses" not in done.stderr:
                break
        raise AssertionError(told(args, done, f"ended with {done.returncode}"))


@dataclass(frozen=True)
class Way:
    """A way of delivery as a site file says it, on a Talos version that goes it."""

    talos: str = TALOS
    kubernetes: str = KUBERNETES
    delivery: Mapping[str, Any] | None = None
    kernel_argument: bool = True  # the image looks for metal-iso

    def image(self, folder: Path, arch: Any) -> LabImage:
        return write_image(folder, self.talos, arch, config_from_disk=self.kernel_argument)

    def site(self, info: LabInfo, folder: Path) -> str:
        images = {arch: self.image(folder, arch) for arch in sorted({m.arch for m in info.machines})}
        text = site_file(info, images=images, kubernetes=self.kubernetes)
        if self.delivery is None:
            return text
        documents = list(yaml.safe_load_all(text))
        documents[0]["spec"]["defaults"]["delivery"] = dict(self.delivery)
        return yaml.safe_dump_all(documents)


BY_PARTITION = Way()
BY_STATE = Way("1.9.6", "1.32.4", kernel_argument=False)  # what `auto` takes there
CONFIRMED = Way(delivery={"method": "maintenance-push"}, kernel_argument=False)
PUSHED = Way(delivery={"method": "maintenance-push", "trustSegment": True}, kernel_argument=False)


@dataclass(frozen=True)
class Farm:
    """One lab of many sites, which hands them out one by one."""

    home: Path
    info: LabInfo
    unused: Iterator[list[MachineInfo]]

    @classmethod
    def start(cls, home: Path, mixed: tuple[int, ...]) -> "Farm":
        """`mixed`: machines of each site."""
        with open_services(home) as services:
            public = services.ssh_public_key
        info = _start(home, mixed, public)
        by_site = groupby(info.machines, key=lambda machine: machine.site)
        return cls(home, info, (list(machines) for _, machines in by_site))

    def take(self, way: Way = BY_PARTITION, *, pinned: bool = True) -> "Case":
        """A site of one machine."""
        (machine,) = next(self.unused)
        return self._ready(Case(self._home(), self, (machine.name,)), way, pinned)

    def take_sites(self, count: int) -> "FarmHome":
        """The next sites, whatever their size."""
        names = tuple(machine.name for _ in range(count) for machine in next(self.unused))
        return self._ready(FarmHome(self._home(), self, names), BY_PARTITION, pinned=True)

    def _home(self) -> Path:
        home = Path(tempfile.mkdtemp(prefix="cto-case-"))
        shutil.copytree(self.home / "ssh", home / "ssh")
        return home

    def _ready(self, case: F, way: Way, pinned: bool) -> F:
        case.site.parent.mkdir(mode=0o700)
        case.site.write_text(way.site(case.machines(), self.home / "lab" / "images"))
        if pinned:
            case.pin()
        return case

    def stop(self) -> None:
        client.stop(self.home)
        shutil.rmtree(self.home, ignore_errors=True)


def _start(home: Path, mixed: tuple[int, ...], public: str) -> LabInfo:
    for attempt in range(5):
        spec = LabSpec(
            mixed=mixed,
            seed=f"{home}/{attempt}",
            authorized_keys=public,
            boot_seconds=0.05,
            hardware=("intel-nuc",),
        )
        try:
            return client.start(home, spec)
        except FleetError as error:
            if "addresses" not in error.what:
                raise
    raise AssertionError("no free addresses for a lab in five tries")


class FarmHome(ProgramHome):
    """A home of its own for some machines of the farm. Each site of it is a cluster."""

    def __init__(self, home: Path, farm: Farm, names: tuple[str, ...]) -> None:
        super().__init__(home)
        self.farm, self.names = farm, names

    @property
    def lab(self) -> Path:
        return self.farm.home

    @property
    def cluster(self) -> str:
        """The first one's."""
        return self.machine(self.names[0]).cluster

    def machines(self) -> LabInfo:
        """The farm as if it had only these, as they are now."""
        info = self.info()
        return replace(info, machines=tuple(info.machine(name) for name in self.names))

    def pin(self) -> None:
        """As `cto lab up` does: the keys that are on the machines' consoles now."""
        with open_services(self.home) as services:
            pin_lab(services, self.machines())

    def smudge(self) -> None:
        """One byte in the first sector: the disk holds nothing, but is not blank, so that wiping it shows."""
        self.ssh("printf x | dd of=/dev/nvme0n1 bs=1 conv=notrunc,fsync status=none")

    def ssh(self, command: str) -> None:
        """On each machine, as somebody there would, with the controller's own key."""
        with open_services(self.home) as services:
            rows = [row for row in services.store.nodes() if row.name in self.names]

            async def run() -> None:
                try:
                    for row in rows:
                        done = await services.ssh.run(target_of(row), command)
                        assert done.status == 0, done.stderr
                finally:
                    await services.aclose()

            asyncio.run(run())

    def close(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


class Case(FarmHome):
    """One machine of the farm, which is a site, a cluster and a node at once."""

    @property
    def name(self) -> str:
        return self.names[0]

    def words(self) -> str:
        """On the machine's screen."""
        return self.machine(self.name).words

    def address(self) -> str:
        machine = self.machine(self.name)
        return f"{machine.address}:{machine.ssh_port}"

    def power(self, action: str) -> None:
        client.command(self.lab, {"op": "power", "machine": self.name, "action": action})

    def await_bootstrap(self) -> None:
        """Until the bootstrap environment shows a key."""
        until(lambda: self.machine(self.name).host_key, "the bootstrap environment")

    def effect(self) -> "Effects":
        return self.effects(self.name)


@dataclass(frozen=True)
class Kill:
    """Die at `point` of `step`, when the subject is in `source`."""

    kind: str
    source: str
    step: str
    point: str
    role: str = ""  # of the node; empty: whichever gets there first

    @classmethod
    def every(cls, kind: str, transition: Transition, role: str = "") -> "tuple[Kill, ...]":
        return tuple(cls(kind, transition.source, transition.step, point, role) for point in KILL_POINTS)

    @classmethod
    def of(cls, step: str) -> "tuple[Kill, ...]":
        """All moments of a step of the install."""
        return next(cls.every("node", t) for t in INSTALL_PATH if t.step == step)

    def __str__(self) -> str:
        source = f"{self.source}-" if self.step == "reset" else ""
        return f"{source}{self.step}-{self.point}{'-' if self.role else ''}{self.role}"

    @property
    def env(self) -> dict[str, str]:
        return {"CTO_CRASH_AT": f"{self.step}:{self.point}"}

    def env_of(self, name: str) -> dict[str, str]:
        """As `env`, at that node or cluster."""
        return {"CTO_CRASH_AT": f"{self.step}:{self.point}:{name}"}


@dataclass(frozen=True)
class Effects:
    """How often the machine was really changed, by its own account."""

    wiped: int = 0  # first MiB of the disk zeroed from the bootstrap environment
    imaged: int = 0
    first_mib: int = 0
    config_ranges: int = 0  # backup table and configuration volume
    states: int = 0  # file systems made for STATE
    keys_wiped: int = 0  # where the configuration was, overwritten from the bootstrap environment
    boot_entries: int = 0
    reboots: int = 0  # ordered over SSH
    bootstraps: int = 0
    cleaned: int = 0
    applied: int = 0  # configurations delivered to the running node
    resets: int = 0  # by Talos
    talos_reboots: int = 0  # ordered by its API

    @classmethod
    def of(cls, events: list[dict[str, Any]]) -> "Effects":
        counts: Counter[str] = Counter(filter(None, map(_effect, events)))
        return cls(**counts)


# One of each but what only running nodes get.
INSTALLED_ONCE = Effects(
    wiped=1, imaged=1, first_mib=1, config_ranges=2, boot_entries=1, reboots=1, bootstraps=1, cleaned=1
)
STATE_ONCE = replace(INSTALLED_ONCE, config_ranges=1, states=1, cleaned=0)
PUSHED_ONCE = replace(INSTALLED_ONCE, config_ranges=1, applied=1, cleaned=0)


def _effect(event: Mapping[str, Any]) -> str:
    kind = event["event"]
    if kind == "command":
        return _command(list(event["argv"]))
    if kind == "talos" and event["status"] == "OK":
        return {"Bootstrap": "bootstraps", "Reset": "resets", "Reboot": "talos_reboots"}.get(
            event["call"], ""
        )
    return {"talos-wiped": "cleaned", "talos-applied": "applied"}.get(kind, "")


def _command(argv: list[str]) -> str:
    if argv[:2] == ["systemctl", "reboot"]:
        return "reboots"
    if argv[0] == "efibootmgr" and "-c" in argv:
        return "boot_entries"
    if argv[0] == "mkfs.xfs":
        return "states"
    operands = dict(word.partition("=")[::2] for word in argv[1:])
    if argv[0] != "dd" or "of" not in operands or operands.get("bs") == "1":
        return ""
    if operands.get("if") == "/dev/zero":
        if operands["count"] != "1":
            return "keys_wiped"
        return "" if "seek" in operands else "wiped"
    return {"1048576": "imaged", "0": "first_mib"}.get(operands.get("seek", ""), "config_ranges")


def stop_in(case: Case, state: NodeState) -> None:
    """Brings the machine exactly there: the controller dies before the next step begins."""
    ahead = remaining(state)
    if not ahead:
        case.apply()
    else:
        case.apply(code=KILLED, env={"CTO_CRASH_AT": f"{ahead[0].step}:before_intent"})
    assert case.node_state(case.name) == state


def given_up(before: Effects, after: Effects) -> int:
    """How often the disk was wiped since `before`, by whatever ran on the machine."""
    other = replace(after, wiped=before.wiped, resets=before.resets)
    assert other == before, "nothing but the wipe may happen"
    return after.wiped - before.wiped + after.resets - before.resets


def declare_file(case: Case, content: str) -> None:
    documents = list(yaml.safe_load_all(case.site.read_text()))
    files = {"/etc/site/motd": {"content": content}}
    documents[0]["spec"].setdefault("defaults", {})["bootstrap"] = {"files": files}
    case.site.write_text(yaml.safe_dump_all(documents))


def operations(case: Case) -> int:
    """What pyinfra did on machines so far: each operation is an event."""
    return len(case.rows("SELECT 1 FROM events WHERE kind = 'Operation'"))


MUTATING = ("dd of=", "efibootmgr -", "wipefs", "mkfs", "sgdisk", "systemctl reboot", "blockdev --rereadpt")


def mutations(events: list[dict[str, Any]]) -> list[str]:
    """Every command or call in the log that changes a machine, however often."""
    calls = (
        "ApplyConfiguration",
        "Bootstrap",
        "Reset",
        "Reboot",
        "BlockDeviceWipe",
        "Upgrade",
        "Rollback",
        "Shutdown",
    )
    found = []
    for event in events:
        if event["event"] == "command" and _changes(event["argv"]):
            found.append(" ".join(event["argv"]))
        if event["event"] == "talos" and event["call"] in calls:
            found.append(event["call"])
        if event["event"] == "kube" and event["method"] != "GET":
            found.append(f"{event['method']} {event['path']}")
    return found


def _changes(argv: list[str]) -> bool:
    if argv[0] in (
        "wipefs",
        "mkfs",
        "mkfs.xfs",
        "sgdisk",
        "parted",
        "reboot",
        "poweroff",
        "kexec",
        "mdadm",
        "swapoff",
    ):
        return True
    if argv[0] == "dd":
        return any(word.startswith("of=") for word in argv)
    if argv[0] == "efibootmgr":
        return argv[1:] not in ([], ["-v"])
    return argv[0] == "systemctl" and "reboot" in argv


def run_demo(home: Path) -> Done:
    """`cto demo --once`, which makes a lab and a home of its own."""
    return ProgramHome(home).cto("demo", "--once", "--output", "json", timeout=240)


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """The process does not outlive the test."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
