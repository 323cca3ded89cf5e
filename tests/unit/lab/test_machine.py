"""A lab in this process: real SSH on loopback addresses, power, faults, what boots."""

import asyncio

import asyncssh
import pytest

from inventory.errors import OperatorError
from iso.lab.api import NotBootable
from iso.lab.image import raw_image

MIB = 1024 * 1024
REFUSED = (ConnectionError, asyncssh.Error, OSError)


class Instance:
    def __init__(self):
        self.stopped = False

    async def stop(self):
        self.stopped = True


class World:
    """Boots whatever has the bytes of a system."""

    def __init__(self, refuses=False):
        self.refuses = refuses
        self.booted = []

    async def boot(self, machine, disk):
        if self.refuses:
            raise NotBootable("no configuration")
        self.booted.append((machine.name, disk.name, Instance()))
        return self.booted[-1][2]


def one(lab):
    return next(iter(lab.machines.values()))


async def test_twenty_machines_come_up_answer_and_go_down(lab, connect):
    running = await lab(mixed=(10, 10))
    machines = list(running.machines.values())

    async def name_of(machine):
        async with connect(machine) as connection:
            return (await connection.run("hostname")).stdout.strip()

    assert await asyncio.gather(*map(name_of, machines)) == [machine.instance for machine in machines]
    assert len({machine.host_key for machine in machines}) == 20
    await running.stop()
    for machine in machines:
        with pytest.raises(REFUSED):
            async with connect(machine, host_key=machines[0].host_key or "ssh-ed25519 " + "A" * 68):
                pass


async def test_commands_have_status_and_both_streams(lab, connect):
    async with connect(one(await lab(mixed=(1,)))) as connection:
        done = await connection.run("cat; echo err >&2; exit 3", input="in")
        assert (done.exit_status, done.stdout, done.stderr) == (3, "in", "err\n")
        many = await asyncio.gather(*(connection.run(f"echo {number}") for number in range(8)))
        assert [each.stdout for each in many] == [f"{number}\n" for number in range(8)]


async def test_only_the_given_key_gets_in(lab, connect):
    machine = one(await lab(mixed=(1,)))
    with pytest.raises(asyncssh.PermissionDenied):
        async with connect(machine, key=asyncssh.generate_private_key("ssh-ed25519")):
            pass
    with pytest.raises(asyncssh.PermissionDenied):
        async with connect(machine, key=None, password="root"):
            pass


async def test_a_reboot_makes_a_new_host_key_and_forgets_files(lab, connect, until):
    machine = one(await lab(mixed=(1,)))
    before = machine.host_key
    async with connect(machine) as connection:
        await connection.run("echo x >/root/f")
        assert (await connection.run("systemctl reboot")).exit_status == 0
        await connection.wait_closed()
    await until(lambda: machine.state == "bootstrap" and machine.host_key != before)
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        async with connect(machine, host_key=before):
            pass
    async with connect(machine) as connection:
        assert (await connection.run("test -e /root/f")).exit_status == 1


async def test_an_installed_disk_boots_and_is_left_again(lab, connect, until):
    world = World()
    machine = one(await lab(mixed=(1,), world=world))
    raw = raw_image("1.13.9")
    async with connect(machine, encoding=None) as connection:
        await connection.run(
            "dd of=/dev/nvme0n1 bs=1M iflag=fullblock conv=notrunc,fsync status=none", input=raw
        )
        await connection.run(
            r"efibootmgr -q -c -d /dev/nvme0n1 -p 1 -L Talos -l '\EFI\BOOT\BOOTX64.EFI'; reboot"
        )
    await until(lambda: machine.state == "talos")
    [(_, disk, instance)] = world.booted
    assert disk == "nvme0n1"
    assert machine.host_key == ""
    machine.disks["nvme0n1"].write(0, bytes(MIB))  # as a reset does
    await machine.reboot()
    await until(lambda: machine.state == "bootstrap")
    assert instance.stopped


@pytest.mark.parametrize("kind", ["vm-kvm", "raspberry-pi-5"])
async def test_without_uefi_the_disk_comes_first(kind, lab, until):
    world = World()
    machine = one(await lab(mixed=(1,), hardware=(kind,), world=world))
    assert machine.state == "bootstrap"
    name, disk = next(iter(machine.disks.items()))
    disk.write(0, raw_image("1.13.9"))
    await machine.reboot()
    await until(lambda: machine.state == "talos")
    assert world.booted[0][1] == name


async def test_a_disk_without_its_first_mib_does_not_boot(lab, until):
    world = World()
    machine = one(await lab(mixed=(1,), hardware=("vm-kvm",), world=world))
    machine.disks["vda"].write(MIB, raw_image("1.13.9")[MIB:])
    before = machine.host_key
    await machine.reboot()
    await until(lambda: machine.state == "bootstrap" and machine.host_key != before)
    assert world.booted == []


async def test_a_disk_that_refuses_falls_through_to_the_bootstrap_environment(lab, until):
    machine = one(await lab(mixed=(1,), hardware=("vm-kvm",), world=World(refuses=True)))
    machine.disks["vda"].write(0, raw_image("1.13.9"))
    before = machine.host_key
    await machine.reboot()
    await until(lambda: machine.state == "bootstrap" and machine.host_key != before)
    assert [event["why"] for event in machine.events if event["event"] == "not-bootable"] == [
        "no configuration"
    ]


async def test_a_power_cut_in_the_middle_of_a_write(lab, connect, until):
    machine = one(await lab(mixed=(1,)))
    before = machine.host_key
    raw = raw_image("1.13.9")
    await machine.apply_fault("power-cut", disk="nvme0n1", bytes=3 * MIB + 700)
    with pytest.raises(REFUSED):
        async with connect(machine, encoding=None) as connection:
            command = f"dd of=/dev/nvme0n1 bs=1M iflag=fullblock oflag=seek_bytes seek={MIB} conv=notrunc"
            done = await connection.run(command, input=raw[MIB:])
            if done.exit_status is None:
                raise asyncssh.ConnectionLost("the connection broke")
    await until(lambda: machine.state == "bootstrap" and machine.host_key != before)
    disk = machine.disks["nvme0n1"]
    assert disk.read(0, MIB) == bytes(MIB), "no boot sector"
    assert disk.read(MIB, 3 * MIB + 512) == raw[MIB : 4 * MIB + 512]
    assert disk.read(4 * MIB + 512, 1000) == bytes(1000)


async def test_dropped_once_and_then_fine(lab, connect):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("drop", after=1)
    async with connect(machine) as connection:
        assert (await connection.run("echo 1")).stdout == "1\n"
        done = await asyncio.gather(connection.run("echo 2"), return_exceptions=True)
        assert isinstance(done[0], Exception) or done[0].exit_status is None
    async with connect(machine) as connection:
        assert (await connection.run("echo 3")).stdout == "3\n"
    assert [event["kind"] for event in machine.events if event["event"] == "fault"] == ["drop"]


async def test_dropped_after_so_many_bytes(lab, connect):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("drop", bytes=100_000)
    async with connect(machine, encoding=None) as connection:
        command = "dd of=/dev/nvme0n1 bs=4096 iflag=fullblock conv=notrunc status=none"
        done = await asyncio.gather(connection.run(command, input=b"x" * MIB), return_exceptions=True)
        assert isinstance(done[0], Exception) or done[0].exit_status is None
    assert 0 <= machine.disks["nvme0n1"].written < MIB


async def test_refused_until_cleared(lab, connect):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("refuse", seconds=0)
    with pytest.raises(ConnectionRefusedError):
        async with connect(machine):
            pass
    await machine.clear_faults()
    async with connect(machine) as connection:
        assert (await connection.run("true")).exit_status == 0


async def test_refused_for_a_while(lab, connect):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("refuse", seconds=0.05)
    async with asyncio.timeout(10):
        while True:
            try:
                async with connect(machine):
                    break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
    assert not machine.faults.has("refuse")


async def test_slow_waits_before_the_command(lab, connect):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("slow", seconds=30)
    async with connect(machine) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.run("true"), 0.2)
        assert (await connection.run("echo quick")).stdout == "quick\n"


async def test_slow_input_trickles(lab, connect):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("slow", bytes_per_second=100_000)
    async with connect(machine, encoding=None) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.run("cat >/dev/null", input=b"x" * MIB), 0.3)


async def test_only_flushed_writes_outlive_a_lost_cache(lab, connect, until):
    machine = one(await lab(mixed=(1,)))
    before = machine.host_key
    await machine.apply_fault("power-cut", disk="nvme0n1", bytes=2 * MIB + 1, cache=True)
    async with connect(machine, encoding=None) as connection:
        write = "dd of=/dev/nvme0n1 bs=1M iflag=fullblock conv=notrunc%s seek=%d status=none"
        await connection.run(write % (",fsync", 0), input=b"a" * MIB)
        await connection.run(write % ("", 1), input=b"b" * MIB)
        await asyncio.gather(connection.run(write % ("", 2), input=b"c" * MIB), return_exceptions=True)
    await until(lambda: machine.state == "bootstrap" and machine.host_key != before)
    assert machine.disks["nvme0n1"].read(0, 3 * MIB) == b"a" * MIB + bytes(2 * MIB)


async def test_never_come_back(lab, until):
    machine = one(await lab(mixed=(1,)))
    await machine.apply_fault("never-come-back")
    await machine.reboot()
    await until(lambda: machine.state == "dark")
    assert "dark" in machine.console()
    await machine.power_on()
    assert machine.state == "bootstrap"


async def test_off_and_on(lab, connect, until):
    machine = one(await lab(mixed=(1,)))
    async with connect(machine) as connection:
        await connection.run("poweroff")
    await until(lambda: machine.state == "off")
    await machine.power_on()
    assert machine.state == "bootstrap"


async def test_an_unknown_fault_is_refused(lab):
    machine = one(await lab(mixed=(1,)))
    with pytest.raises(OperatorError, match="gremlins"):
        await machine.apply_fault("gremlins")


async def test_the_console_shows_what_the_operator_compares(lab):
    from inventory.words import same_words

    running = await lab(mixed=(1,))
    machine, info = one(running), running.info().machines[0]
    lines = machine.console().split("\n")
    assert machine.hardware.title in lines[0]
    assert f"ssh root@{machine.address} -p {machine.ssh_port}" in lines
    assert lines[-1] == info.words
    assert info.words.startswith("KEY ")
    assert same_words(info.words, lines[-1])
