"""SSH, runner, imaging and facts together against one machine of the lab, with its own shell and tools."""

import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.images import MIB, ImageCache
from controller.adapters.runner import ProcessRunner
from controller.app import imaging
from controller.app.ports import Job, Target
from iso.lab import image as lab_image
from iso.lab.machine import Machine
from iso.lab.nvram import BootEntry
from iso.lab.process import Lab
from iso.lab.spec import LabSpec


class Bench:
    """One lab machine, how to reach it, and a runner."""

    def __init__(self, machine: Machine, target: Target, runner: ProcessRunner) -> None:
        self.machine, self.target, self.runner = machine, target, runner
        self.disk = next(
            d for d in machine.disks.values() if d.transport != "usb" and not d.read(512, 8).strip(b"\0")
        )

    @property
    def identity(self) -> dict[str, Any]:
        return {"path": f"/dev/{self.disk.name}", "size": self.disk.size, "serial": self.disk.serial}

    async def deploy(self, name: str, **data: Any) -> Any:
        job = Job("j", name, self.target, data={"disk": self.identity, **data}, deadline=60)
        async with aclosing(self.runner.run(job)) as events:
            last = [event async for event in events][-1]
        assert last.kind == "result", last
        return last.data


@pytest.fixture
async def bench(key: Path, ssh, tmp_path: Path) -> AsyncIterator[Bench]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = (tmp_path / "authorized_keys").read_text()
    spec = LabSpec(
        mixed=(1,), seed=f"adapters-{os.getpid()}", authorized_keys=keys, ssh_port=port, boot_seconds=0.0
    )
    lab = Lab(tmp_path / "lab-home", spec, world=None)
    await lab.start()
    (machine,) = lab.machines.values()
    (info,) = lab.info().machines
    runner = ProcessRunner(key, ssh, log=tmp_path / "runner.log")
    yield Bench(machine, Target(info.name, info.address, info.host_key, info.ssh_port), runner)
    await runner.close()
    await ssh.close()
    await lab.stop()


async def test_prepare_image_and_boot_order_on_a_lab_machine(bench: Bench, ssh, tmp_path: Path) -> None:
    bench.disk.write(0, b"\xaa" * MIB)
    bench.disk.write(bench.disk.size - MIB, b"\xaa" * MIB)
    assert (await bench.deploy("check"))["data"]["findings"] == []
    assert (await bench.deploy("prepare", may_hold_data=True))["changed"]
    assert not (await bench.deploy("prepare"))["changed"]
    assert bench.disk.read(0, MIB) == bench.disk.read(bench.disk.size - MIB, MIB) == bytes(MIB)

    made = lab_image.write_image(tmp_path, "1.13.9")
    images = ImageCache(tmp_path / "images")
    cached = await images.ensure(str(made.path), made.sha256)
    path = f"/dev/{bench.disk.name}"
    await imaging.write_image(ssh, bench.target, path, cached, images, sent=lambda _n: None)
    assert bench.disk.read(0, MIB) == bytes(MIB), "the boot sector comes last"
    body = bench.disk.read(MIB, cached.raw_size - MIB)
    assert hashlib.sha256(body).hexdigest() == cached.body_sha256
    await imaging.write_bytes(ssh, bench.target, path, 0, cached.first_mib)
    assert bench.disk.read(0, MIB) == cached.first_mib
    assert await imaging.read_bytes(ssh, bench.target, path, 0, MIB) == cached.first_mib
    await ssh.run(bench.target, f"blockdev --rereadpt {path}")

    first = await bench.deploy("set_boot")
    again = await bench.deploy("set_boot")
    assert (first["changed"], again["changed"]) == (True, False)
    assert [e.label for e in bench.machine.nvram.entries.values()].count("Talos") == 1
    assert bench.machine.nvram.order[0] == int(first["data"]["entry"], 16)


async def test_set_boot_mends_what_it_finds(bench: Bench) -> None:
    nvram = bench.machine.nvram
    await bench.deploy("set_boot")
    nvram.order = nvram.order[1:] + nvram.order[:1]
    nvram.next = 0
    assert (await bench.deploy("set_boot"))["changed"]
    assert nvram.entries[nvram.order[0]].label == "Talos"
    assert nvram.next is None
    assert not (await bench.deploy("set_boot"))["changed"]


async def test_an_entry_of_our_label_for_another_partition_is_replaced(bench: Bench) -> None:
    nvram = bench.machine.nvram
    nvram.add(BootEntry(7, "Talos", path="HD(1,GPT,dead-beef,0x800,0x1000)/File(\\EFI\\BOOT\\BOOTX64.EFI)"))
    nowhere = (
        "00000000-0000-0000-0000-000000000000"  # what the lab's firmware notes for a disk without partitions
    )
    assert (await bench.deploy("set_boot", efi_partuuid=nowhere))["changed"]
    (ours,) = [entry for entry in nvram.entries.values() if entry.label == "Talos"]
    assert nowhere in ours.path
    assert nvram.order[0] == ours.number


async def test_reset_leaves_nothing_that_boots(bench: Bench) -> None:
    bench.disk.write(0, b"\xaa" * MIB)
    assert (await bench.deploy("reset"))["changed"]
    assert bench.disk.read(0, MIB) == bytes(MIB)
