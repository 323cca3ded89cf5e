"""Upgrades on the lab's Talos, as our client orders them: both flows, slots, and versions that misbehave."""

import asyncio

import pytest

from controller.adapters.talos import GrpcTalosApi
from inventory.errors import CommandFailed, NodeError, NotYet, Unreachable
from iso.lab.talos import bootloader
from iso.lab.talos.shared import Release
from tests.contract.talos_lab import Site, bundle, config, identity

OLD, NEW = "v1.13.9", "v1.14.0"
IMAGE = f"factory.talos.dev/metal-installer/abc:{NEW}"


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def secrets():
    return bundle()


@pytest.fixture
def who(secrets):
    return identity(secrets)


def connect(machine, who):
    return GrpcTalosApi().connect(machine.address, machine.talos_port, who, server_name=machine.address)


async def running(site, secrets, count=1, **options):
    """A cluster of control planes, all ready."""
    machines = [
        site.machine(f"c{n}", config=config(secrets, hostname=f"c{n}"), **options) for n in range(count)
    ]
    for machine in machines:
        await machine.boot()
        await site.until(lambda machine=machine: "etcd" in machine.instance.services)
    machines[0].instance.etcd.bootstrap()
    for machine in machines:
        await site.until(lambda machine=machine: ready(machine))
    cluster = machines[0].instance.cluster
    await site.until(lambda: not any(one.learner for one in cluster.members.values()))
    return machines


def ready(machine):
    return machine.instance is not None and machine.instance.ready


def slots(machine):
    found = bootloader.read(machine.disk, Release("v0"))
    return {label: one.tag for label, one in found.entries.items()}, found.default


async def rebooted(site, machine, old):
    await site.until(lambda: ready(machine) and machine.instance.boot_id != old)


async def test_the_legacy_flow_does_everything_by_itself(site, secrets, who):
    [machine] = await running(site, secrets)
    node = machine.instance.kubelet.node
    async with connect(machine, who) as api:
        old = await api.boot_id()
        actor = await api.upgrade(IMAGE)
        seen = []
        with pytest.raises(Unreachable):
            async for event in api.events(tail=-1, actor=actor):
                seen.append((event.kind, event.data.get("sequence"), event.data.get("action")))  # noqa: PERF401 - the end is an error
        await rebooted(site, machine, old)
        assert (await api.version()).tag == NEW
        assert await api.boot_id() != old
    assert node.unschedulable  # drained before it went down …
    assert not machine.instance.kubelet.node.unschedulable  # … and back
    assert slots(machine) == ({"A": OLD, "B": NEW}, "B")
    assert machine.seen("talos-committed") == [{"version": NEW}]
    assert ("SequenceEvent", "upgrade", "START") in seen
    assert ("SequenceEvent", "upgrade", "STOP") in seen


async def test_an_operators_cordon_stays(site, secrets, who):
    [machine] = await running(site, secrets)
    machine.instance.kubelet.node.unschedulable = True
    old = machine.instance.boot_id
    async with connect(machine, who) as api:
        await api.upgrade(IMAGE)
        await rebooted(site, machine, old)
    assert machine.instance.kubelet.node.unschedulable


async def test_the_lifecycle_flow_only_installs(site, secrets, who):
    [machine] = await running(site, secrets)
    layers, lines = [], []
    async with connect(machine, who) as api:
        with pytest.raises(NodeError, match="not found"):
            await api.lifecycle_upgrade(IMAGE)
        assert await api.image_pull(IMAGE, progress=layers.append) == IMAGE
        assert [one.name for one in await api.images()] == [IMAGE]
        await api.lifecycle_upgrade(IMAGE, said=lines.append)
        assert (await api.version()).tag == OLD
        assert slots(machine) == ({"A": OLD, "B": NEW}, "B")
        assert not machine.instance.kubelet.node.unschedulable
        old = await api.boot_id()
        await api.reboot()
        await rebooted(site, machine, old)
        assert (await api.version()).tag == NEW
        assert await api.images() == []
    assert [one.status for one in layers] == ["DOWNLOADING", "DOWNLOAD_COMPLETE", "EXTRACT_COMPLETE"]
    assert lines == [f"running Talos installer {NEW}", "installation completed"]


async def test_rollback_flips_the_slots(site, secrets, who):
    [machine] = await running(site, secrets)
    async with connect(machine, who) as api:
        with pytest.raises(NodeError, match="previous boot entry"):
            await api.rollback()
        for wanted in (NEW, OLD):
            old = machine.instance.boot_id
            await (api.upgrade(IMAGE) if wanted == NEW else api.rollback())
            await rebooted(site, machine, old)
            assert (await api.version()).tag == wanted
    assert slots(machine) == ({"A": OLD, "B": NEW}, "A")


async def test_a_staged_upgrade_takes_two_reboots(site, secrets, who):
    [machine] = await running(site, secrets)
    async with connect(machine, who) as api:
        await api.upgrade(IMAGE, stage=True)
        await site.until(lambda: ready(machine) and machine.instance.release.tag == NEW)
    assert [one["version"] for one in machine.seen("talos-boot")] == [OLD, OLD, NEW]


async def test_etcd_guards_of_the_legacy_call_and_how_preserve_skips_them(site, secrets, who):
    machines = await running(site, secrets, 2)
    async with connect(machines[0], who) as api:
        with pytest.raises(NodeError, match="member count is 2"):
            await api.upgrade(IMAGE)
        assert await api.upgrade(IMAGE, preserve=True)


async def test_a_sick_or_stopped_member_refuses_the_legacy_call_and_not_the_other(site, secrets, who):
    machines = await running(site, secrets, 3)
    async with connect(machines[0], who) as api:
        machines[1].faults.waiting.append("etcd-unhealthy")
        with pytest.raises(NodeError, match="not healthy"):
            await api.upgrade(IMAGE)
        machines[1].faults.waiting.clear()
        await machines[2].instance.stop()
        with pytest.raises(NodeError, match="not started"):
            await api.upgrade(IMAGE)
        await api.image_pull(IMAGE)
        await api.lifecycle_upgrade(IMAGE)


async def test_the_upgrade_lock_is_the_clusters(site, secrets, who):
    machines = await running(site, secrets, 3)
    machines[1].instance.upgrades.lock()
    async with connect(machines[0], who) as api:
        with pytest.raises(NotYet, match="lock"):
            await api.upgrade(IMAGE)


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [("install-fails", CommandFailed, "status 1"), ("pull-fails", NodeError, "failed to pull")],
)
async def test_what_does_not_install_changes_no_slot(site, secrets, who, fault, error, text):
    [machine] = await running(site, secrets)
    machine.faults.waiting.append(fault)
    async with connect(machine, who) as api:
        with pytest.raises(error, match=text):
            await api.image_pull(IMAGE)
            await api.lifecycle_upgrade(IMAGE)
    assert slots(machine) == ({"A": OLD}, "A")


@pytest.mark.parametrize("image", ["factory.talos.dev/metal-installer/abc:v1.16.0", "installer:v1.10.0"])
async def test_the_installer_refuses_too_big_a_step(site, secrets, who, image):
    [machine] = await running(site, secrets)
    async with connect(machine, who) as api:
        await api.image_pull(image)
        with pytest.raises(CommandFailed, match="pre-flight"):
            await api.lifecycle_upgrade(image)


async def upgraded(machine, who):
    async with connect(machine, who) as api:
        await api.image_pull(IMAGE)
        await api.lifecycle_upgrade(IMAGE)
        await api.reboot()


async def test_a_version_that_can_not_start_comes_back_as_the_old_one(site, secrets, who):
    [machine] = await running(site, secrets)
    machine.faults.waiting.append(f"boot-fails@{NEW}")
    old = machine.instance.boot_id
    await upgraded(machine, who)
    await rebooted(site, machine, old)
    assert machine.instance.release.tag == OLD
    assert [one["version"] for one in machine.seen("talos-boot")] == [OLD, NEW, OLD]
    assert slots(machine)[1] == "A"


async def test_a_version_that_never_gets_ready_keeps_its_way_back(site, secrets, who):
    [machine] = await running(site, secrets)
    machine.faults.waiting.append(f"never-ready@{NEW}")
    await upgraded(machine, who)
    await site.until(
        lambda: (
            machine.instance and machine.instance.release.tag == NEW and machine.instance.stage == "running"
        )
    )
    assert machine.instance.meta.get(bootloader.UPGRADE_FALLBACK) == b"A"
    async with connect(machine, who) as api:
        old = await api.boot_id()
        assert not (await api.machine_status()).ready
        await api.rollback()
        await rebooted(site, machine, old)
    assert machine.instance.release.tag == OLD


async def test_a_version_that_goes_bad_after_it_was_ready(site, secrets, who):
    [machine] = await running(site, secrets)
    machine.faults.waiting.append(f"ready-but-bad@{NEW}")
    old = machine.instance.boot_id
    await upgraded(machine, who)
    await rebooted(site, machine, old)
    assert machine.seen("talos-committed")
    await site.until(lambda: not machine.instance.ready)
    async with connect(machine, who) as api:
        assert (await api.services())["kubelet"] == "Running/unhealthy"


async def test_a_version_that_hangs_answers_nothing(site, secrets, who):
    [machine] = await running(site, secrets)
    machine.faults.waiting.append(f"boot-hang@{NEW}")
    await upgraded(machine, who)
    await site.until(lambda: machine.seen("talos-hang"))
    with pytest.raises(Unreachable):
        async with connect(machine, who):
            pass
    await machine.instance.stop()
    await machine.boot()  # a power cycle does not help
    await site.until(lambda: len(machine.seen("talos-hang")) == 2)


async def test_old_releases_lack_the_new_services(site, secrets, who):
    text = config(secrets, hostname="c0").split(b"---\n")[0]
    machine = site.machine("c0", config=text, tag="v1.8.4")
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    async with connect(machine, who) as api:
        for call in (
            api.image_pull(IMAGE),
            api.lifecycle_upgrade(IMAGE),
            api.wipe("sda5", drop_partition=True),
        ):
            with pytest.raises(NodeError, match="unknown method"):
                await call


async def test_meta_survives_a_reboot(site, secrets, who):
    [machine] = await running(site, secrets)
    async with connect(machine, who) as api:
        await api.meta_write(12, b"value")
        with pytest.raises(NodeError, match="uint8"):
            await api.meta_write(256, b"")
        with pytest.raises(NodeError, match="no room"):
            await api.meta_write(13, bytes(300_000))
        old = await api.boot_id()
        await api.reboot()
        await rebooted(site, machine, old)
        assert machine.instance.meta.get(12) == b"value"
        await api.meta_delete(12)
        with pytest.raises(NodeError, match="not found"):
            await api.meta_delete(12)


async def test_logs_events_and_restarts_can_be_followed(site, secrets, who):
    [machine] = await running(site, secrets)
    async with connect(machine, who) as api:
        log = b"".join([part async for part in api.logs("etcd")])
        assert b"service is Running, health healthy" in log
        assert len([part async for part in api.logs("etcd", lines=1)]) == 1
        assert b"[talos] kubelet: " in b"".join([part async for part in api.dmesg()])
        with pytest.raises(NodeError, match="not registered"):
            [part async for part in api.logs("nothing")]
        with pytest.raises(NodeError, match="doesn't support restart"):
            await api.service_restart("etcd")
        past = [event async for event in first(api.events(tail=-1), 3)]
        assert len({event.id for event in past}) == 3
        again = [event async for event in first(api.events(after=past[0].id), 1)]
        assert again[0].id == past[1].id
        await api.service_restart("kubelet")
        async with asyncio.timeout(10):
            async for event in api.events(tail=-1):
                data = event.data
                if data.get("service") == "kubelet" and data["action"] == "STOPPING":
                    break
        await site.until(lambda: ready(machine))


async def first(events, count):
    found = 0
    async for event in events:
        yield event
        found += 1
        if found == count:
            break
    await events.aclose()
