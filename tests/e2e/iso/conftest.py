"""One image for all tests, built by the program itself, and machines that are started from it.

What was fetched for it stays in /var/tmp, so that only the first run of a machine pays for it.
"""

import fcntl
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

import pytest
import yaml

from iso.qemu.bridge import Bridge
from iso.qemu.spec import DirectBoot, Identity, VmSpec
from iso.qemu.vm import Vm
from iso.render import grub
from tests.e2e.harness import ProgramHome

CACHE = Path("/var/tmp/cto-iso-cache")
TOOLS = ("mmdebstrap", "mksquashfs", "xorriso", "qemu-system-x86_64", "dnsmasq", "zbarimg", "sgdisk")
_NAMES = UUID("6a3c51f2-3bb1-5b4f-8d6f-6f6a3d1a5e21")
GIB = 1024**3
STATUS = r"CTO-STATUS name=(\S+) address=(\d[\d.]+) fingerprint=(\S+) words=(\S+) work=(?!starting)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.needs(*TOOLS))


@dataclass(frozen=True)
class Image:
    """The built image, and a home whose key it lets in."""

    iso: Path
    home: ProgramHome

    @property
    def files(self) -> Path:
        return self.iso.parent / "files"


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One worker at a time."""
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Built once, by the worker that comes first; each has a home of its own, with the key that is let in."""
    mine = tmp_path_factory.getbasetemp()
    shared = (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "iso"
    made, done = shared / "cto.iso", shared / "done"
    with alone("build"):
        if not done.exists():
            shared.mkdir(exist_ok=True)
            builder = ProgramHome(shared / "home")
            builder.ok("iso", "build", "--output", str(made), "--cache", str(CACHE), timeout=1500)
            unpack(made, shared / "files")
            done.touch()
    return Image(made, home_with_key(tmp_path_factory.mktemp("home") / "home", shared / "home"))


def home_with_key(folder: Path, other: Path) -> ProgramHome:
    """A new home whose SSH key is that of another, so that an image lets both in."""
    folder.mkdir(mode=0o700)
    shutil.copytree(other / "ssh", folder / "ssh")
    return ProgramHome(folder)


def unpack(iso: Path, files: Path, *, payload: bool = False) -> None:
    """What the loader would read: the kernel, and all of the initramfs as one file."""
    files.mkdir()
    for name in (grub.kernel("amd64"), *grub.initrds("amd64", payload=payload)):
        target = files / Path(name).name
        command = ["xorriso", "-osirrox", "on", "-indev", str(iso), "-extract", f"/{name}", str(target)]
        subprocess.run(command, check=True, capture_output=True)
    with (files / "initrd").open("wb") as whole:
        for name in grub.initrds("amd64", payload=payload):
            whole.write((files / Path(name).name).read_bytes())


def identity(name: str) -> Identity:
    """The same machine for the same name."""
    return Identity(
        uuid=str(uuid5(_NAMES, name)),
        vendor="Dell Inc.",
        product="PowerEdge R660",
        serial=f"SVC-{name.upper()}",
    )


def blank_disk(path: Path, size: int = 32 * GIB) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def direct(files: Path) -> DirectBoot:
    arguments = "quiet loglevel=3 no_timer_check panic=30 console=ttyS0,115200 console=tty0"
    return DirectBoot(files / "vmlinuz", files / "initrd", arguments)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Vm]]:
    """`start(spec, …)`: a machine with power on; ended with the module."""
    made: list[Vm] = []
    with tempfile.TemporaryDirectory(prefix="cto-vm-") as folder:
        numbers = itertools.count()

        def power_on(spec: VmSpec, **options: object) -> Vm:
            vm = Vm(spec, Path(folder) / f"{next(numbers)}", **options)  # type: ignore[arg-type]
            made.append(vm)
            vm.power_on()
            return vm

        yield power_on
        for vm in made:
            vm.cut_power()


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    with tempfile.TemporaryDirectory(prefix="cto-net-") as folder:
        made = Bridge(f"cto{os.getpid()}", Path(folder))
        made.start()
        yield made
        made.stop()


def site_text(name: str, address: str, port: int, image: dict[str, str], **node: object) -> str:
    """A site with one appliance."""
    row = {"name": name, "role": "appliance", "address": address, "sshPort": port, "image": image, **node}
    cluster = {"site": name, "kubernetes": "1.36.3", "endpoint": f"https://{address}:6443", "nodes": [row]}
    documents = [
        {"kind": "Site", "spec": {"timezone": "UTC"}},
        {"kind": "Cluster", "spec": cluster},
    ]
    head = {"apiVersion": "fleet/v1", "metadata": {"name": name}}
    return "---\n".join(yaml.safe_dump({**head, **document}) for document in documents)
