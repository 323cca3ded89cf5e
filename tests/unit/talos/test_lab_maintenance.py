"""A node in maintenance mode: how our client knows it, and what each release lets it do."""

import asyncio

import pytest

from controller.adapters.talos import GrpcTalosApi
from inventory.errors import HostKeyMismatch, NodeError, RefusedError, Unreachable
from tests.contract.talos_lab import Site, bundle, config

IMAGE = "factory.talos.dev/metal-installer/abc:v1.14.0"


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await made.close()


async def waiting(site, tag="v1.13.9"):
    machine = site.machine("n1", tag=tag)
    await machine.boot()
    await site.until(lambda: machine.seen("talos-maintenance"))
    return machine, machine.seen("talos-maintenance")[-1]["fingerprint"]


def connect(machine, **how):
    return GrpcTalosApi().connect_maintenance(machine.address, machine.talos_port, **how)


async def test_never_without_a_key(site):
    machine, fingerprint = await waiting(site)
    with pytest.raises(RefusedError, match="without knowing its key"):
        async with connect(machine):
            pass
    with pytest.raises(HostKeyMismatch, match=r"pinned is AAAA") as refused:
        async with connect(machine, fingerprint="AAAA"):
            pass
    assert fingerprint in str(refused.value)
    async with connect(machine, trusted_segment=True) as api:
        assert (await api.version()).tag == "v1.13.9"


async def test_a_pin_holds_for_every_connection(site):
    machine, fingerprint = await waiting(site)
    async with connect(machine, fingerprint=fingerprint) as api:
        assert (await api.version()).tag == "v1.13.9"
        await machine.instance.stop()
        with pytest.raises(Unreachable):
            await api.version()
        await machine.boot()
        await site.until(lambda: len(machine.seen("talos-maintenance")) == 2)
        with pytest.raises(HostKeyMismatch):  # a new boot, a new key: not taken silently
            await api.apply_configuration(config(bundle()))
    assert machine.instance.maintenance


async def test_the_key_is_shown_without_sending_anything(site):
    machine, fingerprint = await waiting(site)
    api = GrpcTalosApi()
    assert await api.maintenance_key(machine.address, machine.talos_port) == fingerprint
    async with connect(machine, fingerprint=fingerprint) as node:
        await node.apply_configuration(config(bundle()))
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    assert await api.maintenance_key(machine.address, machine.talos_port) == ""  # the cluster's certificate
    with pytest.raises(Unreachable):
        await api.maintenance_key("127.252.255.1", 9)


async def test_what_speaks_no_tls_has_no_key():
    async def chatter(_, writer):
        writer.write(b"SSH-2.0-x\r\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(chatter, "127.252.255.2", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await GrpcTalosApi().maintenance_key("127.252.255.2", port) == ""


async def test_a_configuration_through_the_pin(site):
    machine, fingerprint = await waiting(site)
    async with connect(machine, fingerprint=fingerprint) as api:
        assert {one.partition_label for one in await api.volumes()} >= {"META"}
        assert (await api.machine_status()).stage == "maintenance"
        assert (await api.apply_configuration(config(bundle()))).mode == "NO_REBOOT"
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")


@pytest.mark.parametrize(
    ("tag", "version", "refusal"),
    [
        ("v1.8.4", False, "not implemented in maintenance"),
        ("v1.12.11", False, "not implemented in maintenance"),
        ("v1.13.9", True, "not authorized"),
        ("v1.14.0", True, "not authorized"),
    ],
)
async def test_what_each_release_lets_a_stranger_do(site, tag, version, refusal):
    machine, fingerprint = await waiting(site, tag)
    async with connect(machine, fingerprint=fingerprint) as api:
        if version:
            assert (await api.version()).tag == tag
            assert await api.services()
        else:
            with pytest.raises(NodeError, match=refusal):
                await api.version()
        assert [one.name for one in await api.disks()] == ["sda"]
        for call in (
            api.reboot(),
            api.rollback(),
            api.upgrade(IMAGE),
            api.reset(graceful=False, reboot=True),
            api.meta_write(1, b""),
            api.etcd_leave(),
            api.service_restart("kubelet"),
        ):
            with pytest.raises(NodeError, match=refusal):
                await call
        with pytest.raises(NodeError, match="STAGED"):
            text = config(bundle()).split(b"---\n")[0]  # without a document that 1.8 does not know
            await api.apply_configuration(text, mode="STAGED")
