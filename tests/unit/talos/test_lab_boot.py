"""The lab's Talos between power-on and its API: where the configuration comes from, and what becomes of the disk."""

import asyncio
import uuid

import pytest

from controller.adapters.talos import GrpcTalosApi
from facts.talos.messages import enum_number, message
from inventory.errors import NodeError, NotYet, Unreachable
from iso.lab import xfs
from iso.lab.api import NotBootable
from iso.lab.disk import Disk
from iso.lab.talos import storage
from iso.lab.talos.world import TalosWorld
from roles import fat, gpt
from tests.contract.talos_lab import FAST, Site, bundle, config, identity, write_image


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await made.close()


def labels(disk):
    return [part.name for part in sorted(storage.table_of(disk).partitions, key=lambda one: one.first_lba)]


def connect(machine, who):
    return GrpcTalosApi().connect(machine.address, machine.talos_port, who, server_name=machine.address)


async def up(site, machine):
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd", "") == "Preparing/unknown")


async def ready(site, machine):
    await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())


@pytest.mark.parametrize(("firmware", "kept"), [("uefi", ["EFI"]), ("bios", ["BIOS", "BOOT"])])
async def test_first_boot_lays_out_the_disk(site, firmware, kept):
    machine = site.machine("n1", config=config(bundle()), firmware=firmware)
    await up(site, machine)
    assert labels(machine.disk) == [*kept, "META", "metal-iso", "STATE", "EPHEMERAL"]
    table = storage.table_of(machine.disk)
    ephemeral = table.named("EPHEMERAL")
    assert table.size(ephemeral) > machine.disk.size - 200 * storage.MIB
    record = storage.read_record(machine.disk, "STATE")
    assert record["config"].encode() == config_on(machine)
    assert record["version"] == "v1.13.9"


def config_on(machine):
    return storage.find_config(machine.disks)[1]


async def test_state_wins_over_the_medium_at_the_next_boot(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets, hostname="first"))
    await up(site, machine)
    table = storage.table_of(machine.disk)
    at = table.offset(table.named("metal-iso"))
    machine.disk.write(at, fat.build("metal-iso", {"config.yaml": config(secrets, hostname="second")}))
    await machine.instance.stop()
    await up(site, machine)
    assert machine.instance.hostname == "first"
    assert labels(machine.disk).count("STATE") == 1


async def test_the_first_labelled_volume_on_any_disk_wins(site, tmp_path):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets, hostname="own"))
    stick = Disk(tmp_path / "stick.img", name="a-stick", size=16 * storage.MIB, serial="USB", transport="usb")
    stick.write(0, fat.build("metal-iso", {"config.yaml": config(secrets, hostname="stick")}))
    machine.disks = {"a-stick": stick, "sda": machine.disk}
    machine.instance = await site.world.boot(machine, machine.disks["sda"])
    await site.until(lambda: machine.instance.services.get("etcd", "") == "Preparing/unknown")
    assert machine.instance.hostname == "stick"
    stick.close()
    machine.disks.pop("a-stick")


async def test_a_medium_is_not_looked_for_without_the_kernel_argument(site, tmp_path):
    machine = site.machine("n1")
    stick = Disk(tmp_path / "stick.img", name="a-stick", size=16 * storage.MIB, serial="USB", transport="usb")
    stick.write(0, fat.build("metal-iso", {"config.yaml": config(bundle())}))
    machine.disks = {"a-stick": stick, "sda": machine.disk}
    machine.instance = await site.world.boot(machine, machine.disks["sda"])
    await site.until(lambda: machine.seen("talos-maintenance"))
    assert not machine.seen("talos-configured")
    stick.close()
    machine.disks.pop("a-stick")


def made_in_advance(disk, text):
    """A STATE as the bootstrap environment leaves it, behind what is there."""
    table = storage.table_of(disk)
    after = max(table.partitions, key=lambda one: one.last_lba).name
    table = gpt.add_after(
        table, after, "STATE", size_bytes=300 * storage.MIB, type_guid=gpt.LINUX_FILESYSTEM, guid=uuid.uuid4()
    )
    at = table.offset(table.named("STATE"))
    xfs.make(disk, "STATE", at=at)
    if text is not None:
        xfs.save(disk, {"files": {"config.yaml": {"mode": "600", "text": text.decode()}}}, at=at)
    storage.write_table(disk, table)


@pytest.mark.parametrize("tag", ["v1.12.11", "v1.13.9"])
async def test_a_state_made_in_advance_wins_and_stays_as_it_is(site, tag):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets, hostname="medium"), tag=tag)
    made_in_advance(machine.disk, config(secrets, hostname="state"))
    await up(site, machine)
    assert machine.instance.hostname == "state"
    assert labels(machine.disk) == ["EFI", "META", "metal-iso", "STATE", "EPHEMERAL"]
    table = storage.table_of(machine.disk)
    assert table.size(table.named("STATE")) == 300 * storage.MIB
    assert "config" not in storage.read_record(machine.disk, "STATE")


async def test_a_state_on_another_disk_wins_too(site, tmp_path):
    """Whoever leaves an old Talos disk in the machine gets its configuration."""
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets, hostname="medium"))
    old = Disk(tmp_path / "old.img", name="nvme0n1", size=1 << 30, serial="OLD", transport="nvme")
    write_image(old)
    made_in_advance(old, config(secrets, hostname="old"))
    machine.disks = {"sda": machine.disk, "nvme0n1": old}
    machine.instance = await site.world.boot(machine, machine.disks["sda"])
    await site.until(lambda: machine.instance.services.get("etcd", "") == "Preparing/unknown")
    assert machine.instance.hostname == "old"
    old.close()
    machine.disks.pop("nvme0n1")


async def test_an_empty_state_is_no_source(site):
    machine = site.machine("n1", config=config(bundle(), hostname="medium"))
    made_in_advance(machine.disk, None)
    await up(site, machine)
    assert machine.instance.hostname == "medium"


async def test_a_bad_state_is_retried_for_ever(site):
    machine = site.machine("n1", config=config(bundle()))
    made_in_advance(machine.disk, b"machine: [")
    await machine.boot()
    await site.until(lambda: machine.seen("talos-config-error"))
    assert not machine.seen("talos-configured")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"machine: [", "error decoding"),
        (b"kind: X\n", "expected one v1alpha1 document"),
        (b"- 1\n", "no configuration documents"),
        (b"version: v1alpha1\nmachine: {}\ncluster: {}\nother: 1\n", "unknown keys"),
        (b"version: v1alpha1\nmachine: {type: worker}\ncluster: {}\n", "validation failed"),
    ],
)
async def test_a_bad_configuration_is_retried_for_ever_and_a_good_medium_mends_it(site, tmp_path, bad, says):
    machine = site.machine("n1", config=bad)
    await machine.boot()
    await site.until(lambda: machine.seen("talos-config-error"))
    assert says in machine.seen("talos-config-error")[0]["error"]
    assert not machine.seen("talos-maintenance")
    stick = Disk(tmp_path / "stick.img", name="a0", size=16 * storage.MIB, serial="USB", transport="usb")
    stick.write(0, fat.build("metal-iso", {"config.yaml": config(bundle())}))
    machine.disks = {"a0": stick, "sda": machine.disk}
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    machine.disks = {"sda": machine.disks["sda"]}
    stick.close()


async def test_a_medium_without_the_file_is_an_error_too(site):
    machine = site.machine("n1", config=config(bundle()))
    table = storage.table_of(machine.disk)
    machine.disk.write(table.offset(table.named("metal-iso")), fat.build("metal-iso", {"other.yaml": b"x"}))
    await machine.boot()
    await site.until(lambda: machine.seen("talos-config-error"))
    assert "config.yaml" in machine.seen("talos-config-error")[0]["error"]


async def test_an_image_that_asks_for_a_medium_never_falls_back(site):
    machine = site.machine("n1", cmdline="talos.config=metal-iso")
    await machine.boot()
    await site.until(lambda: machine.seen("talos-config-error"))
    assert "no volume" in machine.seen("talos-config-error")[0]["error"]


async def test_install_section_must_match_a_disk(site):
    text = config(bundle(), install={"disk": "/dev/nvme7n1", "image": "x"})
    machine = site.machine("n1", config=text)
    await machine.boot()
    await site.until(lambda: machine.seen("talos-config-error"))
    assert "disk does not exist" in machine.seen("talos-config-error")[0]["error"]


@pytest.mark.parametrize(
    "install",
    [
        {"disk": "/dev/disk/by-id/wwn-SER-n1"},
        {"diskSelector": {"serial": "SER-n1"}},
        {"diskSelector": {"model": "LA*"}},
    ],
)
async def test_install_disk_by_what_marks_it(site, install):
    machine = site.machine("n1", config=config(bundle(), install=install))
    await up(site, machine)
    assert "STATE" in labels(machine.disk)


async def test_maintenance_mode_takes_a_configuration_and_little_else(site):
    import ssl

    from grpclib.client import Channel

    from controller.adapters.talos_calls import Calls

    secrets = bundle()
    machine = site.machine("n1")
    await machine.boot()
    await site.until(lambda: machine.seen("talos-maintenance"))
    assert machine.seen("talos-maintenance")[0]["fingerprint"]
    with pytest.raises(NodeError, match="maintenance"):
        async with connect(machine, identity(secrets)):
            pass
    open_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    open_context.check_hostname, open_context.verify_mode = False, ssl.CERT_NONE
    open_context.set_alpn_protocols(["h2"])
    channel = Channel(machine.address, machine.talos_port, ssl=open_context)
    calls = Calls(channel, machine.address)

    async def call(name, **fields):
        request = message(f"machine.{name}Request")(**fields)
        return await calls.unary(f"/machine.MachineService/{name}", request, deadline=5)

    for name in ("Bootstrap", "Reset", "Reboot"):
        with pytest.raises(NodeError, match="not authorized"):
            await call(name)
    version = await calls.unary(
        "/machine.MachineService/Version", message("google.protobuf.Empty")(), deadline=5
    )
    assert version.messages[0].version.tag == "v1.13.9"
    mode = "machine.ApplyConfigurationRequest.Mode"
    with pytest.raises(NodeError, match="STAGED"):
        await call("ApplyConfiguration", data=config(secrets), mode=enum_number(mode, "STAGED"))
    with pytest.raises(NodeError, match="error decoding"):
        await call("ApplyConfiguration", data=b"x: [", mode=enum_number(mode, "AUTO"))
    shown = await call(
        "ApplyConfiguration", data=config(secrets), mode=enum_number(mode, "AUTO"), dry_run=True
    )
    assert "skipped in dry-run" in shown.messages[0].mode_details
    assert machine.instance.stage == "maintenance"
    done = await call("ApplyConfiguration", data=config(secrets), mode=enum_number(mode, "AUTO"))
    assert done.messages[0].mode == enum_number(mode, "NO_REBOOT")
    channel.close()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    assert labels(machine.disk) == ["EFI", "META", "STATE", "EPHEMERAL"] or "STATE" in labels(machine.disk)


async def test_a_worker_waits_for_a_control_plane_of_its_cluster(site):
    secrets = bundle()
    who = identity(secrets)
    worker = site.machine("w", config=config(secrets, kind="worker", hostname="w"))
    other = site.machine("x", config=config(bundle(), hostname="x"))
    await worker.boot()
    await up(site, other)
    assert worker.instance.services["apid"] == "Waiting/unknown"
    with pytest.raises(Unreachable):
        async with connect(worker, who):
            pass
    first = site.machine("c", config=config(secrets, hostname="c"))
    await up(site, first)
    await site.until(lambda: worker.instance.services["apid"] == "Running/healthy")
    async with connect(worker, who) as api:
        assert (await api.version()).tag == "v1.13.9"
        with pytest.raises(NodeError, match="control plane"):
            await api.bootstrap()
        with pytest.raises(NodeError, match="control plane"):
            await api.kubeconfig()


async def test_etcd_does_not_start_before_the_time_is_right(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets))
    machine.faults.waiting.append("no-time")
    await up(site, machine)
    async with connect(machine, identity(secrets)) as api:
        with pytest.raises(NotYet, match="time is not in sync"):
            await api.bootstrap()
        machine.faults.waiting.clear()
        assert await api.bootstrap() is True


async def test_members_join_one_after_the_other_as_learners(site):
    secrets = bundle()
    machines = [site.machine(f"c{n}", config=config(secrets, hostname=f"c{n}")) for n in range(3)]
    for machine in machines:
        await up(site, machine)
    async with connect(machines[0], identity(secrets)) as api:
        await api.bootstrap()
    cluster = machines[0].instance.cluster
    most = 0
    while len(cluster.members) < 3 or any(one.learner for one in cluster.members.values()):
        most = max(most, sum(one.learner for one in cluster.members.values()))
        await cluster.signal._event.wait()
    assert most == 1
    for machine in machines:
        async with connect(machine, identity(secrets)) as api:
            assert await api.bootstrap() is False
    assert [len(machine.seen("etcd-bootstrap")) for machine in machines] == [1, 0, 0]


async def test_a_restarted_lab_finds_its_cluster_again(site):
    secrets = bundle()
    machines = [site.machine(f"c{n}", config=config(secrets, hostname=f"c{n}")) for n in range(3)]
    for machine in machines:
        await up(site, machine)
    machines[0].instance.etcd.bootstrap()
    for machine in machines:
        await ready(site, machine)
    for machine in machines:
        await machine.instance.stop()
    site.world = TalosWorld(timings=FAST)
    for machine in machines:
        await machine.boot()
    for machine in machines:
        await ready(site, machine)
    assert len(machines[0].instance.cluster.members) == 3
    assert not any(machine.seen("talos-crash") for machine in machines)


async def test_never_ready_says_why(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets))
    machine.faults.waiting.append("never-ready")
    await up(site, machine)
    machine.instance.etcd.bootstrap()
    await site.until(lambda: machine.instance.stage == "running")
    async with connect(machine, identity(secrets)) as api:
        status = await api.machine_status()
    assert (status.stage, status.ready) == ("running", False)
    assert any("nodeReady" in one for one in status.unmet)


async def test_old_releases_hold_the_medium_until_a_reboot(site):
    secrets = bundle()
    machine = site.machine("n1", config=without_documents(config(secrets)), tag="v1.11.6")
    await up(site, machine)
    who = identity(secrets)
    async with connect(machine, who) as api:
        [medium] = [one for one in await api.volumes() if one.partition_label == "metal-iso"]
        with pytest.raises(NotYet, match="in use"):
            await api.wipe(medium.name, drop_partition=True)
        await api.reboot()
    old = machine.instance
    await site.until(lambda: machine.instance not in {None, old})
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    assert machine.instance.release.tag == "v1.11.6"
    async with connect(machine, who) as api:
        await api.wipe(medium.name, drop_partition=True)
        assert not [one for one in await api.volumes() if "metal-iso" in {one.label, one.partition_label}]


def without_documents(text):
    return text.split(b"---\n")[0]


async def test_a_wiped_medium_holds_no_secret(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets))
    await up(site, machine)
    table = storage.table_of(machine.disk)
    part = table.named("metal-iso")
    at, size = table.offset(part), table.size(part)
    async with connect(machine, identity(secrets)) as api:
        await api.wipe(storage.partition_name("sda", part.index), drop_partition=True)
    assert machine.disk.read(at, size) == bytes(size)


async def test_disks_that_do_not_boot(site, tmp_path):
    machine = site.machine("n1")
    first = machine.disk.read(0, storage.MIB)
    machine.disk.write(0, bytes(storage.MIB))
    with pytest.raises(NotBootable, match="boot sector"):
        await machine.boot()
    machine.disk.write(0, first[:512] + bytes(storage.MIB - 512))
    with pytest.raises(NotBootable, match="partition table"):
        await machine.boot()


class Dropping:
    """As the lab's fault box: one fault at one call."""

    def __init__(self, kind, at, **options):
        self.fault = (kind, at, options)

    def take(self, kind, point=""):
        if self.fault and self.fault[:2] == (kind, point):
            options, self.fault = self.fault[2], None
            return options
        return None

    def has(self, kind):
        return bool(self.fault) and self.fault[0] == kind


@pytest.mark.parametrize(("late", "second"), [(False, True), (True, False)])
async def test_a_connection_lost_in_bootstrap_leaves_the_question_open(site, late, second):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets))
    machine.faults = Dropping("drop", "Bootstrap", late=late)
    await up(site, machine)
    who = identity(secrets)
    with pytest.raises(Unreachable, match="Bootstrap"):
        async with connect(machine, who) as api:
            await api.bootstrap()
    async with connect(machine, who) as api:
        assert await api.bootstrap() is second
    assert len(machine.seen("etcd-bootstrap")) == 1


async def test_a_broken_connection_repeats_a_read_and_nothing_else(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets))
    await up(site, machine)
    async with connect(machine, identity(secrets)) as api:
        machine.faults = Dropping("drop", "Get")
        assert (await api.machine_status()).stage == "booting"
        assert machine.faults.fault is None
        machine.faults = Dropping("drop", "MetaWrite")
        with pytest.raises(Unreachable, match="MetaWrite"):
            await api.meta_write(12, b"x")
        machine.faults = Dropping("drop", "EtcdMemberList", late=True)
        with pytest.raises(Unreachable, match="etcd is not running"):
            await api.etcd_members()
    assert not [one for one in machine.seen("talos") if one["call"] == "MetaWrite"]


def test_kernel_names_of_partitions():
    assert storage.partition_name("sda", 5) == "sda5"
    assert storage.partition_name("nvme0n1", 5) == "nvme0n1p5"
    assert storage.partition_name("mmcblk0", 1) == "mmcblk0p1"


def test_write_image_is_what_the_lab_boots(tmp_path):
    disk = Disk(tmp_path / "d.img", name="sda", size=1 << 30)
    write_image(disk, config=b"x: 1\n")
    assert labels(disk) == ["EFI", "BIOS", "BOOT", "META", "metal-iso"]
    storage.check_bootable(disk)
    disk.close()


async def test_a_tried_configuration_goes_back_by_itself(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets, hostname="before"))
    await up(site, machine)
    request = message("machine.ApplyConfigurationRequest")(
        data=config(secrets, hostname="tried"),
        mode=enum_number("machine.ApplyConfigurationRequest.Mode", "TRY"),
    )
    request.try_mode_timeout.FromMilliseconds(30)
    async with connect(machine, identity(secrets)) as api:
        await api._act("ApplyConfiguration", request, deadline=10)
        assert machine.instance.hostname == "tried"
        assert b"before" in storage.read_record(machine.disk, "STATE")["config"].encode()
    await site.until(lambda: machine.instance.hostname == "before")


async def test_power_may_go_at_any_moment_and_the_ports_are_free_again(site):
    secrets = bundle()
    machine = site.machine("n1", config=config(secrets))
    steps = 0
    while True:
        machine.instance = await site.world.boot(machine, machine.disk)
        for _ in range(steps):
            await asyncio.sleep(0)
        up_now = machine.instance.services.get("etcd") == "Preparing/unknown"
        await machine.instance.stop()
        steps += 1
        if up_now:
            break
    assert steps > 3
    await up(site, machine)
    assert not machine.seen("talos-crash")
