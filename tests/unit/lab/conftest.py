"""Machines for the lab's own tests: without a network (`host`), or a whole lab in this process (`lab`)."""

import asyncio
import contextlib
import time

import asyncssh
import pytest

from iso.lab import kinds
from iso.lab.host import Host
from iso.lab.machine import Machine, Surroundings
from iso.lab.process import Lab
from iso.lab.shell import interpreter
from iso.lab.spec import LabSpec
from iso.lab.tools import all_tools


class Silence:
    """No mDNS."""

    async def announce(self, *args): ...
    async def withdraw(self, *args, **options): ...


def make_machine(folder, kind="dell-r760", seed="unit"):
    around = Surroundings(
        tools=all_tools(),
        authorized_keys=None,
        world=None,
        advertiser=Silence(),
        now=time.time,
        boot_seconds=lambda: 0,
    )
    return Machine("node", "127.99.0.1", kinds.make(kind, seed=seed), folder, around)


class Sh:
    """A bootstrap environment without a network: `await sh("command")` → (status, stdout, stderr)."""

    def __init__(self, machine):
        self.machine = machine
        self.host = Host(machine, all_tools(), now=time.time)

    async def __call__(self, text, stdin=b""):
        status, out, err = await interpreter.run(self.host, text, stdin=stdin)
        return status, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape")


@pytest.fixture
def sh_on(tmp_path):
    """`sh_on(kind, seed)`: a bootstrap environment on that hardware."""
    made = []

    def make(kind="dell-r760", seed="unit"):
        made.append(Sh(make_machine(tmp_path, kind, seed)))
        return made[-1]

    yield make
    for shell in made:
        for disk in shell.machine.disks.values():
            disk.close()


@pytest.fixture
def sh(sh_on):
    return sh_on()


@pytest.fixture(scope="session")
def client_key():
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def spec(request, client_key):
    """A spec of one's own for each test: the seed, and so the addresses, follow from its name."""

    def make(**fields):
        public = client_key.export_public_key().decode()
        defaults = {"seed": request.node.nodeid, "authorized_keys": public, "boot_seconds": 0.01}
        return LabSpec(**{**defaults, **fields})

    return make


@pytest.fixture
async def lab(tmp_path, spec):
    """`await lab(sites=1, nodes=2)` starts a lab in this process; it ends with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(world=None, **fields):
            built = Lab(tmp_path, spec(**fields), world=world)
            stack.push_async_callback(built.stop)
            await built.start()
            return built

        yield start


@pytest.fixture
def until():
    """`await until(lambda: condition)`: wait for it, without a guess at how long it takes."""

    async def wait(condition, seconds=20.0):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def connect(client_key):
    """An SSH connection to a machine, with the host key that is on its console (or another one)."""

    def to(machine, host_key="", **options):
        key = options.pop("key", client_key)
        line = f"[{machine.address}]:{machine.ssh_port} {host_key or machine.host_key}\n"
        return asyncssh.connect(
            machine.address,
            machine.ssh_port,
            username="root",
            client_keys=[key] if key else None,
            known_hosts=asyncssh.import_known_hosts(line),
            config=None,
            agent_path=None,
            **options,
        )

    return to
