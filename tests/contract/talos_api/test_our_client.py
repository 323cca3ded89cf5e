"""Our client against a node made of the official service interfaces and a real COSI state."""

import asyncio
import hashlib

import pytest
import yaml

from controller.adapters.talos import GrpcTalosApi
from controller.app.ports import MachineStatus
from controller.app.talos_port import EtcdAlarm, EtcdStatus, LayerProgress, NodeImage
from facts.talos.messages import enum_name
from facts.talos.resources import CURRENT_CLUSTER, CURRENT_TYPE
from inventory.errors import CommandFailed, NodeError, NotYet, Unreachable
from iso.lab.talos import pki
from tests.contract.talos_api.official import running
from tests.contract.talos_lab import bundle, identity, now

pytestmark = pytest.mark.needs("go")
CONTAINERD = {"namespace": "NS_SYSTEM"}  # the driver CONTAINERD is 0


@pytest.fixture
async def official():
    """The node's recorder, and our client connected to it."""
    secrets = bundle()
    pair = pki.issue(pki.Pair(secrets.os.crt, secrets.os.key), now=now(), sans=("127.0.0.1",))
    async with running("serve", {"crt": pair.crt, "key": pair.key, "ca": secrets.os.crt}) as talk:
        port = (await talk.hear())["port"]
        who = identity(secrets)
        async with GrpcTalosApi().connect("127.0.0.1", port, who, server_name="127.0.0.1") as api:
            yield talk, api


async def asked(talk, name):
    """The request as the official library decoded it."""
    heard = await talk.hear()
    assert heard["method"].rpartition("/")[2] == name
    return heard["request"]


async def test_reads(official):
    _, api = official
    version = await api.version()
    assert (version.tag, version.arch, version.platform) == ("v1.13.9", "arm64", "metal")
    assert await api.services() == {
        "etcd": "Running/healthy",
        "kubelet": "Preparing/unknown",
        "cri": "Failed/unhealthy",
    }
    assert await api.machine_status() == MachineStatus(
        "running", ready=False, unmet=("nodeReady: not ready",)
    )
    assert await api.boot_id() == "content of /proc/sys/kernel/random/boot_id"


async def test_disks_volumes_and_hardware_of_a_cosi_state(official):
    _, api = official
    [disk] = await api.disks()
    assert (disk.name, disk.size, disk.model, disk.serial, disk.wwid) == (
        "sda",
        1 << 40,
        "MODEL",
        "SERIAL",
        "naa.5",
    )
    assert (disk.transport, disk.rotational, disk.readonly, disk.cdrom) == ("sata", True, False, False)
    assert (disk.dev_path, disk.symlinks) == ("/dev/sda", ("/dev/disk/by-id/wwn-0x5",))
    [volume] = await api.volumes()
    assert (volume.name, volume.label, volume.partition_label) == ("sda5", "metal-iso", "LABEL")
    assert volume.partition_uuid == "9f9e8d7c-0000-4000-8000-000000000001"
    assert (volume.dev_path, volume.parent_dev_path) == ("/dev/sda5", "/dev/sda")
    found = await api.hardware()
    assert (found.system["manufacturer"], found.system["uuid"]) == ("Dell", "uuid-1")
    assert [(one["product_name"], one["core_count"], one["thread_count"]) for one in found.processors] == [
        ("Xeon", 32, 64)
    ]
    assert [(one["size"], one["device_locator"]) for one in found.memory] == [(32768, "A1")]
    assert [(one["class_id"], one["vendor_id"], one["driver"]) for one in found.pci] == [
        ("0x02", "0x15b3", "mlx5_core")
    ]
    with pytest.raises(NodeError, match="doesn't exist"):
        await api.resource("Disks.block.talos.dev", "runtime", "sdz")
    assert await api.resource(*CURRENT_CLUSTER) == {"cluster_id": "id-1", "cluster_name": "kn"}
    kind = (await api.resource(*CURRENT_TYPE))["machine_type"]
    assert enum_name("resource.config.MachineType", kind) == "CONTROL_PLANE"
    [main, name] = yaml.safe_load_all(await api.running_config())
    assert (main["machine"]["token"], name["hostname"]) == ("a&b*c", "kn-1")


async def test_etcd(official, tmp_path):
    talk, api = official
    big = 2**63 + 1
    [member] = await api.etcd_members()
    assert (member.id, member.hostname, member.is_learner) == (big, "cp", True)
    assert await api.etcd_status() == EtcdStatus(
        member_id=big,
        leader=big + 1,
        raft_term=3,
        raft_index=7,
        raft_applied_index=6,
        db_size=1 << 40,
        db_size_in_use=1 << 39,
        is_learner=True,
        errors=("etcdserver: no space",),
        protocol_version="3.6.4",
        storage_version="3.6.0",
    )
    assert await api.etcd_alarms() == await api.etcd_disarm() == (EtcdAlarm(big, "NOSPACE"),)
    assert await api.etcd_forfeit_leadership() == "8000000000000002"
    await api.etcd_leave()
    await api.etcd_remove_member(big)
    for name in ("EtcdMemberList", "EtcdStatus", "EtcdAlarmList", "EtcdAlarmDisarm"):
        assert await asked(talk, name) == {}
    assert await asked(talk, "EtcdForfeitLeadership") == {}
    assert await asked(talk, "EtcdLeaveCluster") == {}
    assert await asked(talk, "EtcdRemoveMemberByID") == {"memberId": str(big)}

    snapshot = await api.etcd_snapshot(tmp_path / "etcd.db")
    content = snapshot.path.read_bytes()
    assert content[:-32] == b"bolt" * (3 << 18)
    assert (snapshot.size, snapshot.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [one.name for one in tmp_path.iterdir()] == ["etcd.db"]


async def test_upgrades(official):
    talk, api = official
    image = "factory.talos.dev/metal-installer/abc:v1.14.0"
    assert await api.upgrade(image, preserve=True, stage=True, reboot_mode="POWERCYCLE") == "actor-1"
    assert await asked(talk, "Upgrade") == {
        "image": image,
        "preserve": True,
        "stage": True,
        "rebootMode": "POWERCYCLE",
    }
    with pytest.raises(NotYet, match=r"10\.9\.9\.9.*locked") as refused:
        await api.upgrade("refused", force=True)
    assert refused.value.where == "10.9.9.9"
    assert await asked(talk, "Upgrade") == {"image": "refused", "force": True}

    layers, lines = [], []
    assert await api.image_pull(image, progress=layers.append) == f"{image}@sha256:2"
    assert layers == [
        LayerProgress("sha256:1", "DOWNLOADING", 5, 1 << 33),
        LayerProgress("sha256:1", "EXTRACT_COMPLETE", 5, 1 << 33),
    ]
    assert await asked(talk, "Pull") == {"containerd": CONTAINERD, "imageRef": image}
    assert await api.images() == [NodeImage("installer", "sha256:2", 1 << 33)]
    assert await asked(talk, "List") == {"containerd": CONTAINERD}

    await api.lifecycle_upgrade(image, said=lines.append)
    assert lines == [f"installing {image}", "done"]
    assert await asked(talk, "Upgrade") == {"containerd": CONTAINERD, "source": {"imageName": image}}
    with pytest.raises(CommandFailed, match="status 3: installing broken / done"):
        await api.lifecycle_upgrade("broken")
    with pytest.raises(Unreachable, match="never reported"):
        await api.lifecycle_upgrade("cut")


async def test_acts(official):
    talk, api = official
    applied = await api.apply_configuration(b"document", mode="TRY", dry_run=True)
    assert (applied.mode, applied.details, applied.warnings) == ("NO_REBOOT", "details", ("old field",))
    assert await asked(talk, "ApplyConfiguration") == {"data": "ZG9jdW1lbnQ=", "mode": "TRY", "dryRun": True}
    assert await api.bootstrap() is False
    assert await asked(talk, "Bootstrap") == {}
    await api.reboot("FORCE")
    assert await asked(talk, "Reboot") == {"mode": "FORCE"}
    await api.rollback()
    assert await asked(talk, "Rollback") == {}
    await api.reset(
        graceful=True, reboot=True, mode="USER_DISKS", partitions=["EPHEMERAL"], user_disks=["/dev/sdb"]
    )
    assert await asked(talk, "Reset") == {
        "graceful": True,
        "reboot": True,
        "systemPartitionsToWipe": [{"label": "EPHEMERAL", "wipe": True}],
        "userDisksToWipe": ["/dev/sdb"],
        "mode": "USER_DISKS",
    }
    await api.wipe("/dev/sda5", drop_partition=True)
    assert await asked(talk, "BlockDeviceWipe") == {
        "devices": [{"device": "sda5", "method": "ZEROES", "dropPartition": True}]
    }
    await api.meta_write(12, b"x")
    assert await asked(talk, "MetaWrite") == {"key": 12, "value": "eA=="}
    await api.meta_delete(12)
    assert await asked(talk, "MetaDelete") == {"key": 12}
    await api.service_restart("kubelet")
    assert await asked(talk, "ServiceRestart") == {"id": "kubelet"}


async def test_streams(official):
    talk, api = official
    found = [event async for event in api.events(tail=-1, actor="actor-1", after="9")]
    assert await asked(talk, "Events") == {"tailEvents": -1, "tailId": "9", "withActorId": "actor-1"}
    assert [(one.id, one.kind) for one in found] == [
        ("b", "SequenceEvent"),
        ("c", "TaskEvent"),
        ("d", "ServiceStateEvent"),
        ("e", "MachineStatusEvent"),
        ("f", "SequenceEvent"),
        ("z", "OfALaterTalos"),
    ]
    assert found[0].data == {"sequence": "upgrade", "action": "START", "error": None}
    assert found[1].data == {"task": "kexec", "action": "STOP"}
    assert (found[2].data["action"], found[2].data["health"]["healthy"]) == ("STOPPING", True)
    assert (found[3].data["stage"], found[3].data["status"]["unmet_conditions"]) == (
        "UPGRADING",
        [{"name": "services", "reason": "etcd"}],
    )
    assert found[4].data["error"]["message"] == "locked"
    assert (found[5].data, found[0].actor) == ({}, "actor-1")

    assert b"".join([part async for part in api.logs("kubelet", lines=5)]) == b"system/kubelet: line\n"
    assert await asked(talk, "Logs") == {"namespace": "system", "id": "kubelet", "tailLines": 5}
    assert len(b"".join([part async for part in api.dmesg(max_bytes=5000)])) == 5000
    async with asyncio.timeout(5):
        async for _ in api.dmesg():
            break
