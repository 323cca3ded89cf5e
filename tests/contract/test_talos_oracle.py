"""The lab's Talos and our client, each against stubs that others generated from upstream's .proto files."""

import asyncio
import hashlib
import io
import tarfile

import pytest
from betterproto.lib.google.protobuf import Empty
from grpclib import GRPCError, Status
from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.server import Server
from talos_linux_api.v1_6_0 import common, machine, storage

from controller.adapters.talos import GrpcTalosApi
from controller.adapters.tls import client_context
from inventory.errors import NodeError, NotYet, Unreachable
from iso.lab.talos import pki
from tests.contract.talos_lab import KUBE_PORT, TALOS_PORT, bundle, config, identity, now, write_image

FILE = b"apiVersion: v1\nkind: Config\n"


@pytest.fixture
def secrets():
    return bundle()


@pytest.fixture
async def booted(site, secrets):
    """One control plane whose API answers, not bootstrapped, and the oracle's client for it."""
    made = site.machine("cp")
    write_image(
        made.disk, config=config(secrets, hostname="cp", endpoint=f"https://{made.address}:{KUBE_PORT}")
    )
    await made.boot()
    await site.until(lambda: made.instance.services.get("etcd") == "Preparing/unknown")
    who = identity(secrets)
    channel = Channel(
        made.address,
        TALOS_PORT,
        ssl=client_context(who.ca, who.crt, who.key, alpn=("h2",)),
        config=Configuration(ssl_target_name_override=made.address),
    )
    yield made, machine.MachineServiceStub(channel), storage.StorageServiceStub(channel)
    channel.close()


async def test_the_oracle_s_client_bootstraps_the_lab(site, booted):
    made, api, disks = booted
    [version] = (await api.version(Empty())).messages
    assert (version.version.tag, version.version.arch, version.platform.name) == ("v1.13.9", "amd64", "metal")
    with pytest.raises(GRPCError) as no_etcd:
        await api.etcd_member_list(machine.EtcdMemberListRequest())
    assert no_etcd.value.status is Status.UNAVAILABLE

    await api.bootstrap(machine.BootstrapRequest())
    with pytest.raises(GRPCError) as again:
        await api.bootstrap(machine.BootstrapRequest())
    assert again.value.status is Status.ALREADY_EXISTS

    await site.until(lambda: made.instance.stage == "running" and not made.instance.unmet())
    services = {one.id: one for one in (await api.service_list(Empty())).messages[0].services}
    assert services["etcd"].state == "Running"
    assert services["etcd"].health.healthy
    [members] = (await api.etcd_member_list(machine.EtcdMemberListRequest())).messages
    assert [(one.hostname, one.is_learner) for one in members.members] == [("cp", False)]
    [status] = (await api.etcd_status(Empty())).messages
    assert status.member_status.leader == status.member_status.member_id == members.members[0].id

    packed = b"".join([part.bytes async for part in api.kubeconfig(Empty())])
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        assert archive.getnames() == ["kubeconfig"]
        assert made.address.encode() in archive.extractfile("kubeconfig").read()
    [found] = (await disks.disks(Empty())).messages
    assert [(one.device_name, one.size, one.system_disk) for one in found.disks] == [
        ("/dev/sda", 4 << 30, True)
    ]


async def test_the_oracle_s_client_applies_a_configuration(booted, secrets):
    made, api, _ = booted
    text = config(
        secrets, hostname="cp", endpoint=f"https://{made.address}:{KUBE_PORT}", nodeLabels={"a": "b"}
    )
    mode = machine.ApplyConfigurationRequestMode
    request = machine.ApplyConfigurationRequest(data=text, mode=mode.AUTO, dry_run=True)
    [shown] = (await api.apply_configuration(request)).messages
    assert shown.mode == mode.NO_REBOOT
    assert "+    a: b" in shown.mode_details
    with pytest.raises(GRPCError) as wrong:
        await api.apply_configuration(machine.ApplyConfigurationRequest(data=b"machine: [", mode=mode.AUTO))
    assert wrong.value.status is Status.INVALID_ARGUMENT


async def test_the_oracle_s_client_upgrades_and_rolls_back(site, booted):
    made, api, _ = booted
    await api.bootstrap(machine.BootstrapRequest())

    async def running(tag):
        await site.until(lambda: made.instance and made.instance.ready and made.instance.release.tag == tag)

    await running("v1.13.9")
    [alarms] = (await api.etcd_alarm_list(Empty())).messages
    assert alarms.member_alarms == []
    snapshot = b"".join([part.bytes async for part in api.etcd_snapshot(machine.EtcdSnapshotRequest())])
    assert hashlib.sha256(snapshot[:-32]).digest() == snapshot[-32:]
    [upgrade] = (await api.upgrade(machine.UpgradeRequest(image="installer:v1.14.0"))).messages
    assert (upgrade.ack, bool(upgrade.actor_id)) == ("Upgrade request received", True)
    await running("v1.14.0")
    await api.rollback(machine.RollbackRequest())
    await running("v1.13.9")


async def test_the_oracle_s_client_recovers_etcd(site, booted):
    made, api, _ = booted

    async def uploads(data):
        parts = [common.Data(bytes=data[at : at + 9000]) for at in range(0, len(data), 9000)]
        return await api.etcd_recover(parts)

    recover = machine.BootstrapRequest(recover_etcd=True)
    await site.until(lambda: made.instance.services.get("etcd", "").startswith("Preparing"))
    with pytest.raises(GRPCError) as nothing:
        await api.bootstrap(recover)
    assert nothing.value.status is Status.FAILED_PRECONDITION
    body = bytes(8192)
    await uploads(body + bytes(32))
    with pytest.raises(GRPCError, match="sha256"):
        await api.bootstrap(recover)
    assert len((await uploads(body + hashlib.sha256(body).digest())).messages) == 1
    await api.bootstrap(recover)
    await site.until(lambda: made.instance.ready)
    snapshot = b"".join([part.bytes async for part in api.etcd_snapshot(machine.EtcdSnapshotRequest())])
    assert snapshot == body + hashlib.sha256(body).digest()
    with pytest.raises(GRPCError) as running:
        await uploads(snapshot)
    assert running.value.status is Status.FAILED_PRECONDITION
    with pytest.raises(GRPCError) as again:
        await api.bootstrap(recover)
    assert again.value.status is Status.ALREADY_EXISTS


async def test_calls_that_the_lab_lacks_say_so(booted):
    _, api, _ = booted
    with pytest.raises(GRPCError) as missing:
        await api.load_avg(Empty())
    assert missing.value.status is Status.UNIMPLEMENTED
    with pytest.raises(GRPCError) as proxied:
        await api.version(Empty(), metadata={"node": "10.0.0.1"})
    assert proxied.value.status is Status.UNIMPLEMENTED


class OracleNode(machine.MachineServiceBase):
    """A node made of the oracle's servicer; `trouble` decides what it does wrong."""

    trouble = ""

    def __mapping__(self):
        table = super().__mapping__()
        plain = table["/machine.MachineService/Version"]

        async def version(stream):
            if self.trouble != "giant":
                await plain.func(stream)
                return
            await stream.recv_message()
            await stream.send_initial_metadata()
            await stream._stream.send_data(b"\0" + (64 << 20).to_bytes(4, "big"))
            await asyncio.Event().wait()

        return {**table, "/machine.MachineService/Version": plain._replace(func=version)}

    async def version(self, _):
        if self.trouble == "entry":
            failed = common.Metadata(hostname="10.9.9.9", error="rpc error: connection refused")
            return machine.VersionResponse(messages=[machine.Version(metadata=failed)])
        if self.trouble == "none":
            return machine.VersionResponse()
        if self.trouble:
            raise GRPCError(Status[self.trouble], "because")
        return machine.VersionResponse(
            messages=[
                machine.Version(
                    version=machine.VersionInfo(tag="v1.13.9", arch="arm64"),
                    platform=machine.PlatformInfo(name="metal", mode="metal"),
                )
            ]
        )

    async def service_list(self, _):
        health = {"a": (False, True), "b": (True, False), "c": (False, False)}
        services = [
            machine.ServiceInfo(
                id=key, state="Running", health=machine.ServiceHealth(unknown=unknown, healthy=good)
            )
            for key, (unknown, good) in health.items()
        ]
        return machine.ServiceListResponse(messages=[machine.ServiceList(services=services)])

    async def apply_configuration(self, request):
        self.applied = request
        entry = machine.ApplyConfiguration(warnings=["w"], mode=request.mode, mode_details="d")
        return machine.ApplyConfigurationResponse(messages=[entry])

    async def etcd_recover(self, parts):
        self.recovered = b"".join([part.bytes async for part in parts])
        if self.trouble:
            raise GRPCError(Status[self.trouble], "because")
        return machine.EtcdRecoverResponse(messages=[machine.EtcdRecover()])

    async def etcd_snapshot(self, _):
        for part in (b"a", b"bc"):
            yield common.Data(bytes=part)

    async def bootstrap(self, request):
        self.bootstrapped = request
        if self.trouble:
            raise GRPCError(Status[self.trouble], "because")
        return machine.BootstrapResponse(messages=[machine.Bootstrap()])

    async def etcd_member_list(self, _):
        member = machine.EtcdMember(
            id=2**63 + 1, hostname="cp", peer_urls=["https://x:2380"], is_learner=True
        )
        return machine.EtcdMemberListResponse(messages=[machine.EtcdMembers(members=[member])])

    async def kubeconfig(self, _):
        for at in range(0, len(self.packed), 7):
            yield common.Data(bytes=self.packed[at : at + 7])

    async def reboot(self, request):
        self.rebooted = request
        return machine.RebootResponse(messages=[machine.Reboot(actor_id="x")])

    async def reset(self, request):
        self.was_reset = request
        return machine.ResetResponse(messages=[machine.Reset(actor_id="x")])


@pytest.fixture
async def oracle(secrets):
    """Our client, connected to a server made of the oracle's servicer."""
    node = OracleNode()
    pair = pki.issue(pki.Pair(secrets.os.crt, secrets.os.key), now=now(), sans=("127.0.0.1",))
    server = Server([node])
    context = pki.server_context(pair, client_ca=secrets.os.crt, alpn="h2")
    await server.start("127.0.0.1", 0, ssl=context)
    port = server._server.sockets[0].getsockname()[1]
    async with GrpcTalosApi().connect("127.0.0.1", port, identity(secrets), server_name="127.0.0.1") as api:
        yield node, api
    server.close()
    await server.wait_closed()


def packed(files, compress="gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compress}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


async def test_our_client_reads_the_oracle_s_answers(oracle):
    node, api = oracle
    version = await api.version()
    assert (version.tag, version.arch, version.platform) == ("v1.13.9", "arm64", "metal")
    assert await api.services() == {"a": "Running/healthy", "b": "Running/unknown", "c": "Running/unhealthy"}
    [member] = await api.etcd_members()
    assert (member.id, member.hostname, member.peer_urls, member.is_learner) == (
        2**63 + 1,
        "cp",
        ("https://x:2380",),
        True,
    )
    node.packed = packed({"./kubeconfig": FILE})
    assert await api.kubeconfig() == FILE
    assert await api.bootstrap() is True


async def test_the_oracle_reads_what_our_client_sends(oracle):
    node, api = oracle
    applied = await api.apply_configuration(b"doc", mode="TRY", dry_run=True)
    assert (applied.mode, applied.details, applied.warnings) == ("TRY", "d", ("w",))
    assert (node.applied.data, node.applied.dry_run) == (b"doc", True)
    assert node.applied.mode == machine.ApplyConfigurationRequestMode.TRY
    await api.apply_configuration(b"doc")
    assert node.applied.mode == machine.ApplyConfigurationRequestMode.AUTO
    await api.reset(graceful=True, reboot=True)
    assert (node.was_reset.graceful, node.was_reset.reboot) == (True, True)
    assert not node.was_reset.system_partitions_to_wipe
    await api.reboot()
    assert node.rebooted.mode == machine.RebootRequestMode.DEFAULT


async def test_a_snapshot_comes_in_and_goes_out_in_parts(oracle):
    node, api = oracle
    assert [part async for part in api.etcd_snapshot_parts()] == [b"a", b"bc"]

    async def parts():
        for part in (b"x" * 70_000, b"", b"y"):
            yield part

    await api.etcd_recover(parts())
    assert node.recovered == b"x" * 70_000 + b"y"
    assert await api.bootstrap(recover=True) is True
    assert (node.bootstrapped.recover_etcd, node.bootstrapped.recover_skip_hash_check) == (True, False)
    assert await api.bootstrap() is True
    assert node.bootstrapped.recover_etcd is False
    node.trouble = "FAILED_PRECONDITION"
    with pytest.raises(NotYet, match="because"):
        await api.etcd_recover(parts())


@pytest.mark.parametrize(
    ("trouble", "error", "text"),
    [
        ("UNAVAILABLE", Unreachable, "because"),
        ("DEADLINE_EXCEEDED", Unreachable, "because"),
        ("FAILED_PRECONDITION", NotYet, "because"),
        ("PERMISSION_DENIED", NodeError, "os:admin"),
        ("UNIMPLEMENTED", NodeError, "version"),
        ("INTERNAL", NodeError, "because"),
        ("entry", NodeError, r"10\.9\.9\.9.*connection refused"),
        ("none", NodeError, "0 answers"),
    ],
)
async def test_what_fails_becomes_one_of_our_errors(oracle, trouble, error, text):
    node, api = oracle
    node.trouble = trouble
    with pytest.raises(error, match=text) as raised:
        await api.version()
    assert raised.type is error


async def test_bootstrap_done_before_is_no_error(oracle):
    node, api = oracle
    node.trouble = "ALREADY_EXISTS"
    assert await api.bootstrap() is False


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (packed({"kubeconfig": bytes(4 << 20)}), "too big"),
        (packed({"../../kubeconfig": FILE}), "holds no kubeconfig"),
        (packed({}), "holds no kubeconfig"),
        (packed({"kubeconfig": FILE}, "xz"), "can't be read"),
        (packed({"kubeconfig": FILE})[:-20] + b"x" * 20, "can't be read"),
        (b"nonsense", "can't be read"),
    ],
    ids=["bomb", "elsewhere", "empty", "xz", "damaged", "nonsense"],
)
async def test_a_kubeconfig_that_is_none(oracle, archive, text):
    node, api = oracle
    node.packed = archive
    with pytest.raises(NodeError, match=text):
        await api.kubeconfig()


async def test_a_giant_message_is_refused_when_it_is_announced(oracle):
    node, api = oracle
    node.trouble = "giant"
    with pytest.raises(NodeError, match="67108864 bytes was announced"):
        await api.version()


async def test_no_answer_in_time_is_unreachable(secrets):
    silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    api = GrpcTalosApi(connect_deadline=0.05)
    with pytest.raises(Unreachable, match="no answer"):
        async with api.connect("127.0.0.1", port, identity(secrets), server_name="127.0.0.1"):
            pass
    silent.close()
    with pytest.raises(Unreachable, match="connection failed"):
        async with api.connect("127.0.0.1", port, identity(secrets), server_name="127.0.0.1"):
            pass
