"""etcd on the lab's Talos, as our client asks it: leader, alarms, snapshot, leaving and removal."""

import hashlib
from types import SimpleNamespace

import pytest

from controller.adapters.talos_snapshot import save
from controller.app.talos_port import EtcdAlarm
from inventory.errors import CheckFailed, NodeError, NotYet, OperatorError, Unreachable
from iso.lab.talos.config import load
from tests.contract.talos_lab import Site, bundle, config, identity, write_image
from tests.unit.talos.test_lab_upgrades import connect, ready, running


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


async def test_the_leader_moves_and_the_term_rises(site, secrets, who):
    machines = await running(site, secrets, 3)
    async with connect(machines[0], who) as first, connect(machines[1], who) as second:
        before = await first.etcd_status()
        assert before.leader == before.member_id == (await second.etcd_status()).leader
        assert await second.etcd_forfeit_leadership() == ""
        new = await first.etcd_forfeit_leadership()
        after = await first.etcd_status()
        assert (f"{after.leader:x}", after.raft_term) == (new, before.raft_term + 1)
        assert after.leader != before.leader
        assert not after.errors


async def test_without_quorum_there_is_no_leader(site, secrets, who):
    machines = await running(site, secrets, 3)
    for machine in machines[1:]:
        await machine.instance.stop()
    async with connect(machines[0], who) as api:
        status = await api.etcd_status()
    assert (status.leader, status.errors) == (0, ("etcdserver: no leader",))


async def test_alarms_show_until_they_are_disarmed(site, secrets, who):
    [machine] = await running(site, secrets)
    machine.faults.waiting.append("etcd-alarm")
    async with connect(machine, who) as api:
        member = machine.instance.etcd.member.id
        assert await api.etcd_alarms() == (EtcdAlarm(member, "NOSPACE"),)
        assert "NOSPACE" in (await api.etcd_status()).errors[0]
        assert await api.etcd_disarm() == (EtcdAlarm(member, "NOSPACE"),)
        assert await api.etcd_alarms() == ()


async def test_a_node_leaves_and_joins_again_after_a_reboot(site, secrets, who):
    machines = await running(site, secrets, 3)
    async with connect(machines[2], who) as last, connect(machines[0], who) as first:
        await last.etcd_leave()
        assert len(await first.etcd_members()) == 2
        assert (await last.services())["etcd"] == "Finished/unknown"
        with pytest.raises(Unreachable, match="not running"):
            await last.etcd_status()
        old = machines[2].instance.boot_id
        await last.reboot()
        await site.until(lambda: ready(machines[2]) and machines[2].instance.boot_id != old)
        assert len(await first.etcd_members()) == 3


async def test_a_cluster_of_wiped_disks_is_gone_and_can_be_made_anew(site, secrets, who):
    machines = await running(site, secrets, 2)
    for machine in machines:
        async with connect(machine, who) as api:
            await api.reset(graceful=False, reboot=True)
        await site.until(lambda machine=machine: machine.state == "iso")
    cluster = site.world._shared.cluster(config_of(secrets))
    assert not cluster.bootstrapped
    for machine in machines:
        write_image(machine.disk, config=config(secrets, hostname=machine.name))
        await machine.boot()
        await site.until(lambda machine=machine: "etcd" in machine.instance.services)
    async with connect(machines[0], who) as api:
        assert await api.bootstrap() is True
    for machine in machines:
        await site.until(lambda machine=machine: ready(machine))
    assert len(cluster.members) == 2


async def test_a_disk_that_was_written_anew_under_a_member(site, secrets, who):
    [machine] = await running(site, secrets)
    await machine.instance.stop()
    machine.disk.write(0, bytes(64 << 20))
    table_area = machine.disk.size - (1 << 20)
    machine.disk.write(table_area, bytes(1 << 20))
    write_image(machine.disk, config=config(secrets, hostname=machine.name))
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    async with connect(machine, who) as api:
        assert await api.bootstrap() is True
    await site.until(lambda: ready(machine))


async def test_one_wiped_disk_of_three_still_counts(site, secrets, who):
    machines = await running(site, secrets, 3)
    async with connect(machines[2], who) as api:
        await api.reset(graceful=False, reboot=True)
    await site.until(lambda: machines[2].state == "iso")
    async with connect(machines[0], who) as api:
        assert len(await api.etcd_members()) == 3
        with pytest.raises(NodeError, match="not started"):
            await api.upgrade("installer:v1.14.0")


def config_of(secrets):
    return load(config(secrets), minor=13, disks=[SimpleNamespace(name="sda", serial="", wwid="", model="")])


async def test_a_removed_member_fails_and_stays_away(site, secrets, who):
    machines = await running(site, secrets, 3)
    gone = machines[2].instance.etcd.member.id
    async with connect(machines[0], who) as api:
        await api.etcd_remove_member(gone)
        with pytest.raises(NodeError, match="not found"):
            await api.etcd_remove_member(gone)
    await site.until(lambda: machines[2].instance.services["etcd"] == "Failed/unhealthy")
    await machines[2].instance.stop()
    await machines[2].boot()
    await site.until(lambda: machines[2].instance.services.get("etcd") == "Failed/unhealthy")


async def test_the_last_member_can_not_leave(site, secrets, who):
    [machine] = await running(site, secrets)
    async with connect(machine, who) as api:
        with pytest.raises(NotYet, match="last member"):
            await api.etcd_leave()
        with pytest.raises(NotYet, match="last member"):
            await api.etcd_remove_member(machine.instance.etcd.member.id)
        with pytest.raises(NodeError, match="leadership"):
            await api.etcd_forfeit_leadership()


async def test_a_snapshot_is_whole_and_private(site, secrets, who, tmp_path):
    [machine] = await running(site, secrets)
    async with connect(machine, identity(secrets, "os:etcd:backup")) as api:
        made = await api.etcd_snapshot(tmp_path / "etcd.db")
        with pytest.raises(NodeError, match="larger than 100 bytes"):
            await api.etcd_snapshot(tmp_path / "other.db", max_bytes=100)
        with pytest.raises(NodeError, match="not authorized"):
            await api.etcd_leave()
    content = made.path.read_bytes()
    assert (made.size, made.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.glob("*.db*")] == ["etcd.db"]


async def stream(*parts):
    for part in parts:
        yield part


BODY = b"x" * 1024
GOOD = BODY + hashlib.sha256(BODY).digest()


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((GOOD[:-1],), "cut short"),
        ((), "cut short"),
        ((BODY,), "cut short"),
        ((GOOD[:-32], bytes(32)), "does not match"),
        ((b"y", GOOD[1:]), "does not match"),
    ],
)
async def test_a_snapshot_that_is_not_whole_leaves_the_old_one(tmp_path, parts, says):
    path = tmp_path / "etcd.db"
    path.write_text("old")
    with pytest.raises(CheckFailed, match=says):
        await save(stream(*parts), path, 10_000, node="n")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("etcd.db", "old")]


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000, 5000])
async def test_a_snapshot_in_parts_of_any_size(tmp_path, size):
    parts = [GOOD[at : at + size] for at in range(0, len(GOOD), size)]
    made = await save(stream(*parts), tmp_path / "etcd.db", 10_000, node="n")
    assert made.path.read_bytes() == GOOD


async def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OperatorError, match="can't be stored"):
        await save(stream(GOOD), tmp_path / "no" / "etcd.db", 10_000, node="n")
