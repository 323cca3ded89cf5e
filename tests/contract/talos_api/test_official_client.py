"""The official Go client drives the lab's Talos over mutual TLS, and in maintenance mode."""

import base64
import hashlib

import pytest
import yaml

from tests.contract.talos_api.official import running
from tests.contract.talos_lab import TALOS_PORT, bundle, config, identity

pytestmark = pytest.mark.needs("go")
OLD, NEW = "v1.13.9", "v1.14.0"
IMAGE = f"factory.talos.dev/metal-installer/abc:{NEW}"
STORE = {"containerd": {"driver": "CONTAINERD", "namespace": "NS_SYSTEM"}}


@pytest.fixture
def secrets():
    return bundle()


def b64(text):
    return base64.b64encode(text.encode()).decode()


def official(machine, who):
    """The official client, configured as by a talosconfig."""
    given = {
        "endpoint": f"{machine.address}:{TALOS_PORT}",
        "ca": b64(who.ca),
        "crt": b64(who.crt),
        "key": b64(who.key),
    }
    return running("drive", given)


async def up(site, secrets, count=1):
    machines = [site.machine(f"c{n}", config=config(secrets, hostname=f"c{n}")) for n in range(count)]
    for machine in machines:
        await machine.boot()
        await site.until(lambda machine=machine: "etcd" in machine.instance.services)
    return machines


async def settled(site, machines):
    for machine in machines:
        await site.until(lambda machine=machine: machine.instance and machine.instance.ready)
    cluster = machines[0].instance.cluster
    await site.until(lambda: not any(one.learner for one in cluster.members.values()))


async def test_bootstrap_and_what_can_be_read(site, secrets):
    machines = await up(site, secrets)
    async with official(machines[0], identity(secrets)) as go:
        assert (await go.call("EtcdStatus"))[0] == "Unavailable"
        await go.ok("Bootstrap")
        assert (await go.call("Bootstrap"))[0] == "AlreadyExists"
        await settled(site, machines)
        [version] = (await go.ok("Version"))["messages"]
        assert version["version"]["tag"] == OLD
        services = {one["id"]: one for one in (await go.ok("ServiceList"))["messages"][0]["services"]}
        assert (services["etcd"]["state"], services["etcd"]["health"]["healthy"]) == ("Running", True)
        [disks] = (await go.ok("Disks"))["messages"]
        assert [one["deviceName"] for one in disks["disks"]] == ["/dev/sda"]
        kubeconfig = yaml.safe_load(await go.ok("Kubeconfig"))
        assert kubeconfig["kind"] == "Config"
        content = base64.b64decode(await go.ok("Read", path="/proc/sys/kernel/random/boot_id"))
        assert content.decode().strip() == machines[0].instance.boot_id
        assert b"service is Running" in base64.b64decode(await go.ok("Logs", namespace="system", id="etcd"))
        assert b"[talos] apid: " in base64.b64decode(await go.ok("Dmesg"))
        assert (await go.ok("ServiceRestart", id="kubelet"))["messages"][0]["resp"]


async def test_resources_decode_as_the_official_types(site, secrets):
    machines = await up(site, secrets)
    machines[0].instance.etcd.bootstrap()
    await settled(site, machines)
    async with official(machines[0], identity(secrets)) as go:
        status = (await go.ok("MachineStatus"))["machine"]
        assert (status["Stage"], status["Status"]["Ready"]) == ("running", True)
        volumes = await go.ok("DiscoveredVolumes")
        by_label = {one["PartitionLabel"]: one for one in volumes.values()}
        assert by_label["metal-iso"]["Label"] == "metal-iso"
        assert by_label["metal-iso"]["ParentDevPath"] == "/dev/sda"
        disk = (await go.ok("BlockDisks"))["sda"]
        assert (disk["Size"], disk["Serial"], disk["Transport"]) == (4 << 30, "SER-c0", "sata")
        system = (await go.ok("SystemInformation"))["systeminformation"]
        assert system["UUID"] == machines[0].uuid
        assert system["Manufacturer"] == "Dell Inc."
        assert [one["CoreCount"] > 0 for one in (await go.ok("Processors")).values()] == [True] * 2
        assert all(one["Size"] >= 1024 for one in (await go.ok("MemoryModules")).values())
        devices = await go.ok("PCIDevices")
        assert devices
        assert all(one["VendorID"].startswith("0x") and one["Vendor"] for one in devices.values())
        assert (await go.ok("ClusterInfo"))["current"] == {
            "ClusterID": secrets.cluster_id,
            "ClusterName": "kn",
        }
        text = base64.b64decode(await go.ok("RunningConfig"))
        assert text == machines[0].instance.config.text


async def test_apply(site, secrets):
    machines = await up(site, secrets)
    changed = config(secrets, hostname="c0", nodeLabels={"zone": "a"})
    async with official(machines[0], identity(secrets)) as go:
        request = {"data": base64.b64encode(changed).decode(), "mode": "AUTO"}
        [shown] = (await go.ok("ApplyConfiguration", **request, dryRun=True))["messages"]
        assert (shown["mode"], "+    zone: a" in shown["modeDetails"]) == ("NO_REBOOT", True)
        await go.ok("ApplyConfiguration", **request)
        assert machines[0].instance.config.node_labels == {"zone": "a"}
        code, _, error = await go.call("ApplyConfiguration", data="eA==", mode="AUTO")
        assert (code, "no configuration" in error) == ("InvalidArgument", True)


async def test_etcd(site, secrets):
    machines = await up(site, secrets, 3)
    machines[0].instance.etcd.bootstrap()
    await settled(site, machines)
    async with official(machines[0], identity(secrets)) as go:
        [members] = (await go.ok("EtcdMemberList"))["messages"]
        assert {one["hostname"] for one in members["members"]} == {"c0", "c1", "c2"}
        [status] = (await go.ok("EtcdStatus"))["messages"]
        assert status["memberStatus"]["leader"] == status["memberStatus"]["memberId"]
        [forfeited] = (await go.ok("EtcdForfeitLeadership"))["messages"]
        [after] = (await go.ok("EtcdStatus"))["messages"]
        assert int(forfeited["member"], 16) == int(after["memberStatus"]["leader"])
        machines[0].faults.waiting.append("etcd-alarm")
        [alarms] = (await go.ok("EtcdAlarmList"))["messages"]
        assert [one["alarm"] for one in alarms["memberAlarms"]] == ["NOSPACE"]
        await go.ok("EtcdAlarmDisarm")
        assert "memberAlarms" not in (await go.ok("EtcdAlarmList"))["messages"][0]
        snapshot = base64.b64decode(await go.ok("EtcdSnapshot"))
        assert hashlib.sha256(snapshot[:-32]).digest() == snapshot[-32:]
        other = next(one["id"] for one in members["members"] if one["hostname"] == "c2")
        await go.ok("EtcdRemoveMemberByID", memberId=other)
        assert len((await go.ok("EtcdMemberList"))["messages"][0]["members"]) == 2
        _, _, error = await go.call("Upgrade", image=IMAGE)
        assert "member count is 2" in error
        await go.ok("EtcdLeaveCluster")
        assert (await go.call("EtcdStatus"))[0] == "Unavailable"


async def test_both_upgrade_flows_and_the_way_back(site, secrets):
    machines = await up(site, secrets)
    machines[0].instance.etcd.bootstrap()
    await settled(site, machines)
    who = identity(secrets)

    async def booted(tag):
        await site.until(
            lambda: (node := machines[0].instance) is not None and node.ready and node.release.tag == tag
        )

    async with official(machines[0], who) as go:
        request = STORE | {"source": {"imageName": IMAGE}}
        assert (await go.call("LifecycleUpgrade", **request))[0] == "NotFound"
        *layers, last = await go.ok("ImagePull", **STORE, imageRef=IMAGE)
        assert [one["pullProgress"]["progress"]["total"] for one in layers] == [str(100 << 20)] * 3
        assert last == {"name": IMAGE}
        assert [one["name"] for one in await go.ok("ImageList", **STORE)] == [IMAGE]
        progress = [one["progress"] for one in await go.ok("LifecycleUpgrade", **request)]
        assert progress[0] == {"message": f"running Talos installer {NEW}"}
        assert progress[-1] == {"exitCode": 0}
        await go.ok("Reboot")
        await booted(NEW)
    async with official(machines[0], who) as go:
        assert (await go.ok("Version"))["messages"][0]["version"]["tag"] == NEW
        await go.ok("Rollback")
        await booted(OLD)
    async with official(machines[0], who) as go:
        [upgrade] = (await go.ok("Upgrade", image=IMAGE))["messages"]
        events = await go.ok("Events", actor=upgrade["actorId"], count=2)
        assert {one["actor"] for one in events} == {upgrade["actorId"]}
        assert events[0]["type"] == "talos/runtime/machine.SequenceEvent"
        assert events[0]["payload"] == {"sequence": "upgrade", "action": "START"}
        await booted(NEW)


async def test_meta_and_reset(site, secrets):
    machines = await up(site, secrets)
    async with official(machines[0], identity(secrets)) as go:
        await go.ok("MetaWrite", key=12, value="eA==")
        assert machines[0].instance.meta.get(12) == b"x"
        await go.ok("MetaDelete", key=12)
        await go.ok("Reset", reboot=True, mode="SYSTEM_DISK")
        await site.until(lambda: machines[0].state == "iso")


async def test_a_reader_may_not_act(site, secrets):
    machines = await up(site, secrets)
    async with official(machines[0], identity(secrets, "os:reader")) as go:
        await go.ok("Version")
        assert (await go.call("Reboot"))[0] == "PermissionDenied"
        assert (await go.call("Upgrade", image=IMAGE))[0] == "PermissionDenied"
        assert (await go.call("RunningConfig"))[0] == "PermissionDenied"
        assert (await go.ok("ClusterInfo"))["current"]["ClusterName"] == "kn"


async def test_another_cluster_s_certificate_gets_nowhere(site, secrets):
    machines = await up(site, secrets)
    async with official(machines[0], identity(bundle())) as go:
        code, _, error = await go.call("Version")
        assert (code, "certificate" in error) == ("Unavailable", True)


@pytest.mark.parametrize(("tag", "code"), [("v1.13.9", "PermissionDenied"), ("v1.12.11", "Unimplemented")])
async def test_maintenance_mode(site, secrets, tag, code):
    machine = site.machine("n", tag=tag)
    await machine.boot()
    await site.until(lambda: machine.seen("talos-maintenance"))
    async with running("drive", {"endpoint": f"{machine.address}:{TALOS_PORT}", "insecure": True}) as go:
        assert (await go.call("Reboot"))[0] == code
        assert (await go.call("Version"))[0] == ("OK" if tag == "v1.13.9" else code)
        assert "sda" in await go.ok("BlockDisks")
        text = base64.b64encode(config(secrets)).decode()
        await go.ok("ApplyConfiguration", data=text, mode="AUTO")
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")


@pytest.mark.parametrize(
    ("tag", "code"), [("v1.12.7", "OK"), ("v1.13.9", "OK"), ("v1.14.1", "Unimplemented")]
)
async def test_applying_with_a_reboot_by_version(site, secrets, tag, code):
    machine = site.machine("c0", config=config(secrets, hostname="c0"), tag=tag)
    await machine.boot()
    await site.until(lambda: "etcd" in machine.instance.services)
    changed = base64.b64encode(config(secrets, hostname="c0", nodeLabels={"zone": "a"})).decode()
    async with official(machine, identity(secrets)) as go:
        asked = {"data": changed, "dryRun": True}
        assert (await go.call("ApplyConfiguration", mode="REBOOT", **asked))[0] == code
        shown = (await go.ok("ApplyConfiguration", mode="AUTO", **asked))["messages"][0]
        assert shown["mode"] == "NO_REBOOT"
        moved = base64.b64encode(config(secrets, hostname="c0", udev={"rules": ["x"]})).decode()
        needs = (await go.ok("ApplyConfiguration", mode="AUTO", data=moved, dryRun=True))["messages"][0]
        assert needs.get("mode", "REBOOT") == ("NO_REBOOT" if tag == "v1.14.1" else "REBOOT")
