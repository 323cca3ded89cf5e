"""Facts from N hosts, cold, and over open connections. Builds the contenders' files and checks their answers."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Result
from benchmarks.race import BIN, TOOLS, Contender, Record, environment, race
from benchmarks.rig import PORTS, USER, Rig
from facts import script
from facts.registry import machine_facts

OUR_CIPHER = "aes256-gcm@openssh.com"  # what cto and OpenSSH agree on
PYINFRA_FACTS = (
    "server.Kernel",
    "server.LinuxDistribution",
    "server.Hostname",
    "hardware.Cpus",
    "hardware.Memory",
    "hardware.BlockDevices",
    "hardware.Ipv4Addrs",
)


def facts(
    rig: Rig,
    record: Record,
    *,
    sizes: Sequence[int],
    kexes: Sequence[str],
    repeats: int,
    only: Sequence[str],
    warm_up: bool = True,
) -> None:
    for kex in kexes:
        for size in sizes:
            field = [c for c in contenders(rig, kex, size) if not only or c.name in only]
            labels = {"bench": "facts", "kex": kex, "hosts": size}
            race(field, record, repeats=repeats, labels=labels, rig=rig, warm_up=warm_up)


def open_connections(rig: Rig, record: Record, *, sizes: Sequence[int], repeats: int) -> None:
    for size in sizes:
        files = Files(rig, "default", size)
        driver = [
            str(BIN / "python"),
            "-m",
            "benchmarks.drive_open",
            "--host-key",
            rig.host_key,
            *files.common,
        ]
        field = [
            Contender("bare pool", [*files.bare, "--rounds", "4"], counted(size), more=last_rounds),
            Contender("cto pool", [*driver, "--rounds", "4"], counted(size), more=last_rounds),
        ]
        race(
            field, record, repeats=repeats, labels={"bench": "open", "kex": "default", "hosts": size}, rig=rig
        )


class Files:
    """What the contenders read, in a folder of the rig."""

    def __init__(self, rig: Rig, kex: str, size: int) -> None:
        self.rig, self.kex, self.port = rig, kex, PORTS[kex]
        self.hosts = rig.hosts(size)
        self.folder = rig.folder / f"{kex}-{size}"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "hosts").write_text("\n".join(self.hosts))
        (self.folder / "script").write_text(script.build(machine_facts(), boundary="b" * 32))
        self.common = ["--hosts", str(self.folder / "hosts"), "--port", str(self.port), "--key", str(rig.key)]
        self.bare = self.bare_with(self.folder / "script")

    def bare_with(self, script_file: Path) -> list[str]:
        more = ["--known-hosts", str(self.rig.known_hosts), "--script", str(script_file)]
        return [str(BIN / "python"), "-m", "benchmarks.bare", *self.common, *more]

    def ansible(self) -> tuple[list[str], dict[str, str], Callable[[], None]]:
        """Inventory arguments, environment, and what makes it cold: a new socket directory."""
        sockets = self.folder / "cp"
        ssh = (
            f"-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={self.rig.known_hosts}"
            " -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null -F none"
        )
        (self.folder / "ansible.cfg").write_text(
            "[defaults]\nforks = 50\ntimeout = 60\nhost_key_checking = True\nretry_files_enabled = False\n"
            f"[ssh_connection]\npipelining = True\ncontrol_path_dir = {sockets}\nssh_args = {ssh}\n"
        )
        names = "\n".join(self.hosts)
        (self.folder / "inventory").write_text(
            f"[all]\n{names}\n[all:vars]\nansible_user={USER}\nansible_port={self.port}\n"
            f"ansible_ssh_private_key_file={self.rig.key}\nansible_python_interpreter=/usr/bin/python3\n"
        )

        def cold() -> None:
            shutil.rmtree(sockets, ignore_errors=True)

        return (
            ["-i", str(self.folder / "inventory")],
            {"ANSIBLE_CONFIG": str(self.folder / "ansible.cfg")},
            cold,
        )

    def pyinfra(self) -> list[str]:
        data = {
            "ssh_user": USER,
            "ssh_port": self.port,
            "ssh_key": str(self.rig.key),
            "ssh_known_hosts_file": str(self.rig.known_hosts),
            "ssh_strict_host_key_checking": "yes",
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
            "ssh_config_file": "/dev/null",
        }
        inventory = self.folder / "inventory.py"
        inventory.write_text(f"hosts = {[(host, data) for host in self.hosts]!r}\n")
        return [str(TOOLS / "pyinfra"), "-y", str(inventory)]

    def cto_home(self) -> tuple[Path, Callable[[], None]]:
        """A home that has the hosts pinned and has never gathered; copied afresh for each run."""
        master, used = self.folder / "home-master", self.folder / "home"
        if not master.exists():
            make_home(master, self.hosts, host_key=self.rig.host_key, port=self.port, client_key=self.rig.key)

        def fresh() -> None:
            shutil.rmtree(used, ignore_errors=True)
            shutil.copytree(master, used)

        return used, fresh


def make_home(
    root: Path, hosts: Sequence[str], *, host_key: str, port: int = 22, client_key: Path | None = None
) -> None:
    """A home with these hosts pinned."""
    from controller.wiring import open_services

    with open_services(root) as services:
        services.home.create()
        if client_key is not None:
            services.home.ssh.mkdir(mode=0o700)
            shutil.copy(client_key, services.home.ssh_key)
            services.home.ssh_key.chmod(0o600)
        for host in hosts:
            name = f"host-{host.replace('.', '-')}"
            services.store.pin(
                name,
                address=host,
                host_key=host_key,
                port=port,
                actor="benchmark",
                reason="the rig's own key",
            )
    # The first command in a home looks once whether another package took our import names.
    subprocess.run(
        [str(BIN / "cto"), "status"],
        env=environment(CTO_HOME=str(root)),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def contenders(rig: Rig, kex: str, size: int) -> list[Contender]:
    files = Files(rig, kex, size)
    home, fresh = files.cto_home()
    found = [
        Contender("bare", files.bare, counted(size)),
        Contender("bare-our-cipher", [*files.bare, "--ciphers", OUR_CIPHER], counted(size)),
        Contender(
            "cto",
            [str(BIN / "cto"), "facts", "gather", "--output", "json"],
            cto_answer(size),
            {"CTO_HOME": str(home)},
            fresh,
        ),
    ]
    if (TOOLS / "pyinfra").exists():
        found.append(
            Contender("pyinfra", [*files.pyinfra(), "fact", *PYINFRA_FACTS], pyinfra_answer(files.hosts))
        )
    if (TOOLS / "ansible").exists():
        where, env, cold = files.ansible()
        found.append(
            Contender(
                "ansible",
                [str(TOOLS / "ansible"), *where, "all", "-m", "setup"],
                ansible_answer(size),
                env,
                cold,
            )
        )
    return found


# What makes an answer right


def counted(size: int) -> Callable[[Result], str]:
    def check(result: Result) -> str:
        return _wrong(result, _last_json(result.stdout).get("answered", 0), size)

    return check


def last_rounds(result: Result) -> Mapping[str, float]:
    """The best of the rounds over open connections."""
    rounds: list[dict[str, float]] = _last_json(result.stdout)["rounds"]
    return {
        "open_wall": round(min(r["wall"] for r in rounds), 4),
        "open_cpu": round(min(r["cpu"] for r in rounds), 4),
    }


def cto_answer(size: int) -> Callable[[Result], str]:
    def check(result: Result) -> str:
        lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith(b"{")]
        # os, memory, disks … must be there; the machine we measure on lacks some tools (dmidecode, lspci).
        good = sum(
            bool(x.get("digest")) and not {"os", "cpu", "memory", "disks"} & set(x["problems"]) for x in lines
        )
        return _wrong(result, good, size)

    return check


def ansible_answer(size: int) -> Callable[[Result], str]:
    def check(result: Result) -> str:
        good = min(result.stdout.count(b" | SUCCESS => {"), result.stdout.count(b'"ansible_kernel":'))
        return _wrong(result, good, size)

    return check


def pyinfra_answer(hosts: Sequence[str]) -> Callable[[Result], str]:
    """Each fact is printed as one JSON object with an entry per host."""

    def check(result: Result) -> str:
        text = re.sub(rb"\x1b\[[0-9;]*m", b"", result.stdout + result.stderr).decode("utf-8", "replace")
        parts = text.split("--> Fact data for: ")[1:]
        if len(parts) != len(PYINFRA_FACTS):
            return f"{len(parts)} of {len(PYINFRA_FACTS)} facts"
        try:
            answers = [json.JSONDecoder().raw_decode(part[part.index("{") :])[0] for part in parts]
        except ValueError as error:
            return f"unreadable: {error}"
        return _wrong(result, sum(all(a.get(host) for a in answers) for host in hosts), len(hosts))

    return check


def _wrong(result: Result, good: int, size: int) -> str:
    if result.status:
        return f"exit status {result.status} ({good} of {size} answered)"
    return "" if good == size else f"{good} of {size} answered"


def _last_json(output: bytes) -> dict[str, Any]:
    lines = output.split(b"\n")
    found: dict[str, Any] = next((json.loads(x) for x in reversed(lines) if x.startswith(b"{")), {})
    return found
