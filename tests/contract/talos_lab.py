"""A small site for tests: machines with real sparse disks, a Talos image on them, configurations, identities."""

import asyncio
import base64
import contextlib
import datetime as dt
import itertools
import os
import uuid
from pathlib import Path

import yaml

from controller.app.ports import Identity
from iso.lab.disk import Disk
from iso.lab.kinds import make
from iso.lab.talos.bootloader import MARKER
from iso.lab.talos.shared import Timings
from iso.lab.talos.world import TalosWorld
from roles import fat, gpt
from roles.access import mint_identity
from roles.pki import dump_key, new_ecdsa_key
from roles.secrets import SecretsBundle, create

MIB = 1 << 20
FAST = Timings(retry=0.05, etcd=0.02, promote=0.02, kube=0.01, ready=0.02, down=0.01)
# Each test process takes addresses of its own: xdist runs several at once.
_NUMBERS = itertools.count(os.getpid() % 200 * 256 + 1)
TALOS_PORT, KUBE_PORT = 50000, 6443


def bundle() -> SecretsBundle:
    return create(now=now(), random_bytes=os.urandom, service_account_key=dump_key(new_ecdsa_key()))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def identity(secrets: SecretsBundle, *roles: str) -> Identity:
    made = mint_identity(secrets, roles or ("os:admin",), now=now(), random_bytes=os.urandom)
    return Identity(made.ca, made.crt, made.key)


class Faults:
    def __init__(self) -> None:
        self.waiting: list[str] = []

    def take(self, kind, point=""):
        """`kind` once; `kind@point` for ever."""
        if f"{kind}@{point}" in self.waiting:
            return {}
        if kind in self.waiting:
            self.waiting.remove(kind)
            return {}
        return None

    def has(self, kind):
        return kind in self.waiting


class Machine:
    """As `iso.lab.api.LabMachine`; a reboot boots the disk again, or ends in the bootstrap environment."""

    talos_port, kube_port = TALOS_PORT, KUBE_PORT
    arch, macs, clock_offset = "amd64", (), 0.0
    hardware = make("dell-r660", seed="contract")

    def __init__(self, site, name, disk, firmware="uefi"):
        self.site, self.name, self.firmware = site, name, firmware
        number = next(_NUMBERS)
        self.address = f"127.252.{number // 250}.{number % 250 + 2}"
        self.uuid, self.serial = str(uuid.uuid4()), f"S{number}"
        self.disks = {disk.name: disk}
        self.faults = Faults()
        self.events: list[tuple[str, dict]] = []
        self.instance = None
        self.state = "off"

    def log(self, event, **data):
        self.events.append((event, data))
        self.site.world._shared.signal.fire()

    def seen(self, event):
        return [data for kind, data in self.events if kind == event]

    async def boot(self):
        self.instance = await self.site.world.boot(self, self.disk)
        self.state = "talos"

    @property
    def disk(self):
        return next(iter(self.disks.values()))

    async def reboot(self):
        self.site.background(self._reboot())

    async def power_off(self):
        self.site.background(self._stop("off"))

    async def _stop(self, state):
        await self.instance.stop()
        self.instance, self.state = None, state
        self.log("state")

    async def _reboot(self):
        from iso.lab.api import NotBootable

        await self._stop("off")
        try:
            await self.boot()
        except NotBootable:
            self.state = "iso"
        self.log("state")


class Site:
    def __init__(self, folder: Path, timings: Timings = FAST):
        self.folder, self.world = folder, TalosWorld(timings=timings)
        self.machines: dict[str, Machine] = {}
        self._tasks = set()

    def machine(self, name, *, config=b"", tag="v1.13.9", firmware="uefi", cmdline="", disk="sda"):
        made = Disk(
            self.folder / f"{name}.img",
            name=disk,
            size=4 << 30,
            model="LAB",
            serial=f"SER-{name}",
            transport="sata",
        )
        machine = self.machines[name] = Machine(self, name, made, firmware)
        write_image(machine.disk, config=config, tag=tag, cmdline=cmdline)
        return machine

    def background(self, work):
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, holds):
        async with asyncio.timeout(20):
            await self.world._shared.signal.until(holds)

    async def close(self):
        for task in list(self._tasks):
            with contextlib.suppress(Exception):
                await task
        for machine in self.machines.values():
            if machine.instance is not None:
                await machine.instance.stop()
            machine.disk.close()


def write_image(disk, *, config=b"", tag="v1.13.9", cmdline=""):
    """As the installer leaves a disk: the image's partitions, and the configuration behind META."""
    start, parts = 2048, []
    for index, (name, size) in enumerate((("EFI", 2), ("BIOS", 1), ("BOOT", 2), ("META", 1)), 1):
        sectors = size * MIB // 512
        parts.append(
            gpt.Partition(index, gpt.LINUX_FILESYSTEM, uuid.uuid4(), start, start + sectors - 1, name)
        )
        start += sectors
    table = gpt.Table(uuid.uuid4(), disk.size // 512, tuple(parts))
    if config:
        cmdline = cmdline or "talos.config=metal-iso"
        table = gpt.add_after(
            table,
            "META",
            "metal-iso",
            size_bytes=16 * MIB,
            type_guid=gpt.MICROSOFT_BASIC_DATA,
            guid=uuid.uuid4(),
        )
        volume = table.named("metal-iso")
        disk.write(table.offset(volume), fat.build("metal-iso", {"config.yaml": config}))
    for name in ("EFI", "BOOT"):
        disk.write(table.offset(table.named(name)) + 4096, MARKER + f"{tag} {cmdline}\n".encode())
    disk.write(gpt.backup_offset(table), gpt.backup(table))
    disk.write(0, gpt.primary(table, b"\xeb\x63\x90" + bytes(437)))


def _b64(text):
    return base64.b64encode(text.encode()).decode()


def config(secrets, *, kind="controlplane", hostname="n1", endpoint="https://127.0.0.1:6443", **machine):
    """A configuration for 1.13 with what the lab reads."""
    control_plane = kind == "controlplane"

    def pair(one):
        return {"crt": _b64(one.crt), "key": _b64(one.key) if control_plane else ""}

    cluster = {
        "id": secrets.cluster_id,
        "secret": secrets.cluster_secret,
        "clusterName": "kn",
        "controlPlane": {"endpoint": endpoint},
        "token": secrets.bootstrap_token,
        "ca": pair(secrets.k8s),
    }
    if control_plane:
        cluster |= {
            "aggregatorCA": pair(secrets.k8s_aggregator),
            "etcd": {"ca": pair(secrets.etcd)},
            "serviceAccount": {"key": _b64(secrets.k8s_service_account_key)},
        }
    main = {
        "version": "v1alpha1",
        "machine": {
            "type": kind,
            "token": secrets.trustd_token,
            "ca": pair(secrets.os),
            "kubelet": {"image": "ghcr.io/siderolabs/kubelet:v1.36.3"},
            "install": {"disk": "/dev/sda", "image": "factory.talos.dev/metal-installer/0:v1.13.9"},
            **machine,
        },
        "cluster": cluster,
    }
    name = {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostname": hostname}
    return yaml.safe_dump_all([main, name]).encode()
