"""Our clients against the lab: a whole cluster from written disks to Ready nodes, then what follows."""

import asyncio

import pytest

from controller.adapters.kube import KubernetesApi
from controller.adapters.talos import GrpcTalosApi
from inventory.errors import NodeError, NotYet, Unreachable
from tests.contract.talos_lab import TALOS_PORT, bundle, config, identity

PATIENCE = 20


async def eventually(read, good):
    """The first answer of `read` that is good; Unreachable and NotYet are asked again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                answer = await read()
            except (Unreachable, NotYet):
                answer = None
            if answer is not None and good(answer):
                return answer
            await asyncio.sleep(0.01)


def node(machine, who):
    return GrpcTalosApi().connect(machine.address, TALOS_PORT, who, server_name=machine.address)


async def ask(machine, who, call):
    async with node(machine, who) as api:
        return await call(api)


async def cluster(site, secrets, who, control_planes=3, workers=1):
    machines = []
    for index in range(control_planes + workers):
        kind = "controlplane" if index < control_planes else "worker"
        machine = site.machine(f"{kind}-{index}")
        machines.append(machine)
    from tests.contract.talos_lab import write_image

    endpoint = f"https://{machines[0].address}:6443"
    for index, machine in enumerate(machines):
        kind = "controlplane" if index < control_planes else "worker"
        text = config(secrets, kind=kind, hostname=machine.name, endpoint=endpoint)
        write_image(machine.disk, config=text)
        await machine.boot()
    await eventually(lambda: ask(machines[0], who, lambda api: api.bootstrap()), lambda made: made)
    return machines


async def test_from_disks_to_a_ready_cluster(site):
    secrets = bundle()
    who = identity(secrets)
    machines = await cluster(site, secrets, who)
    first = machines[0]

    assert await ask(first, who, lambda api: api.bootstrap()) is False
    for machine in machines:
        status = await eventually(
            lambda machine=machine: ask(machine, who, lambda api: api.machine_status()), lambda one: one.ready
        )
        assert (status.stage, status.unmet) == ("running", ())

    members = await eventually(
        lambda: ask(first, who, lambda api: api.etcd_members()),
        lambda found: len(found) == 3 and not any(member.is_learner for member in found),
    )
    assert {member.hostname for member in members} == {machine.name for machine in machines[:3]}

    kubeconfig = await ask(first, who, lambda api: api.kubeconfig())
    kube = KubernetesApi()
    nodes = await kube.nodes(kubeconfig)
    assert {one.name: one.roles for one in nodes} == {
        machine.name: ("control-plane",) if index < 3 else () for index, machine in enumerate(machines)
    }
    assert all(one.ready and one.version == "v1.36.3" and not one.unschedulable for one in nodes)
    assert await kube.version(kubeconfig) == "v1.36.3"
    # As through a tunnel: another place, the endpoint's certificate.
    with pytest.raises(NodeError, match="certificate"):
        await kube.nodes(
            kubeconfig.replace(first.address.encode(), b"127.0.0.9"), host=first.address, port=6443
        )
    assert await kube.nodes(kubeconfig, host=first.address, port=6443)

    for machine in machines:
        async with node(machine, who) as api:
            found = [one for one in await api.volumes() if one.partition_label == "metal-iso"]
            assert [(one.name, one.label, one.parent_dev_path) for one in found] == [
                (found[0].name, "metal-iso", "/dev/sda")
            ]
            await api.wipe(found[0].name, drop_partition=True)
            left = await api.volumes()
            assert not [one for one in left if "metal-iso" in {one.label, one.partition_label}]
            assert {"STATE", "EPHEMERAL", "META", "EFI"} <= {one.partition_label for one in left}
            assert not {"BIOS", "BOOT"} & {one.partition_label for one in left}


async def test_reads_of_one_node(site):
    secrets = bundle()
    who = identity(secrets)
    [first] = await cluster(site, secrets, who, 1, 0)
    await eventually(lambda: ask(first, who, lambda api: api.machine_status()), lambda one: one.ready)
    async with node(first, who) as api:
        version = await api.version()
        assert (version.tag, version.arch, version.platform) == ("v1.13.9", "amd64", "metal")
        services = await api.services()
        assert services["etcd"] == services["kubelet"] == "Running/healthy"
        system = await api.resource("SystemInformations.hardware.talos.dev", "hardware", "systeminformation")
        assert system["uuid"] == first.uuid
        disk = await api.resource("Disks.block.talos.dev", "runtime", "sda")
        assert (disk["size"], disk["serial"]) == (4 << 30, f"SER-{first.name}")
        with pytest.raises(NodeError, match="doesn't exist"):
            await api.resource("Disks.block.talos.dev", "runtime", "sdz")


async def test_a_changed_configuration_is_shown_then_applied(site):
    secrets = bundle()
    who = identity(secrets)
    [first] = await cluster(site, secrets, who, 1, 0)
    endpoint = f"https://{first.address}:6443"
    changed = config(secrets, hostname=first.name, endpoint=endpoint, nodeLabels={"zone": "a"})
    async with node(first, who) as api:
        shown = await api.apply_configuration(changed, dry_run=True)
        assert shown.mode == "NO_REBOOT"
        assert "+    zone: a" in shown.details
        assert (await api.apply_configuration(changed)).mode == "NO_REBOOT"
        assert "No changes." in (await api.apply_configuration(changed, dry_run=True)).details
        other = config(secrets, hostname=first.name, endpoint=endpoint, udev={"rules": ["x"]})
        assert (await api.apply_configuration(other, dry_run=True)).mode == "REBOOT"
        with pytest.raises(NodeError, match="unknown keys"):
            await api.apply_configuration(changed.replace(b"clusterName", b"clustername"))


async def test_reboot_keeps_the_node_and_reset_gives_the_machine_back(site):
    secrets = bundle()
    who = identity(secrets)
    [first] = await cluster(site, secrets, who, 1, 0)
    await eventually(lambda: ask(first, who, lambda api: api.machine_status()), lambda one: one.ready)
    boot_id = first.instance.boot_id
    async with node(first, who) as api:
        await api.reboot()
        await site.until(lambda: first.instance is not None and first.instance.boot_id != boot_id)
        await eventually(api.version, lambda one: one.tag == "v1.13.9")  # over the same channel
    status = await eventually(
        lambda: ask(first, who, lambda api: api.machine_status()), lambda one: one.ready
    )
    assert status.stage == "running"
    assert await ask(first, who, lambda api: api.bootstrap()) is False
    assert len(first.seen("etcd-bootstrap")) == 1

    with pytest.raises(NotYet, match="last member"):
        await ask(first, who, lambda api: api.reset(graceful=True, reboot=True))
    await ask(first, who, lambda api: api.reset(graceful=False, reboot=True))
    await site.until(lambda: first.state == "iso")
    with pytest.raises(Unreachable):
        await ask(first, who, lambda api: api.version())
    assert first.disk.read(0, 1 << 20) == bytes(1 << 20)


async def test_what_is_in_use_is_not_wiped(site):
    secrets = bundle()
    who = identity(secrets)
    [first] = await cluster(site, secrets, who, 1, 0)
    async with node(first, who) as api:
        names = {one.partition_label: one.name for one in await api.volumes()}
        for label in ("STATE", "EPHEMERAL", "META"):
            with pytest.raises(NotYet, match="in use"):
                await api.wipe(names[label], drop_partition=True)
        with pytest.raises(NodeError, match="not found"):
            await api.wipe("sdq7", drop_partition=False)


async def test_identities_that_must_not_get_in(site):
    secrets, stranger = bundle(), bundle()
    who = identity(secrets)
    [first] = await cluster(site, secrets, who, 1, 0)
    with pytest.raises(NodeError, match="certificate"):
        await ask(first, identity(stranger), lambda api: api.version())
    mixed = identity(stranger)
    mixed = type(mixed)(who.ca, mixed.crt, mixed.key)
    with pytest.raises(Unreachable):
        await ask(first, mixed, lambda api: api.version())
    with pytest.raises(NodeError, match="certificate"):
        async with GrpcTalosApi().connect(first.address, TALOS_PORT, who, server_name="127.0.0.9"):
            pass
    reader = identity(secrets, "os:reader")
    assert (await ask(first, reader, lambda api: api.version())).tag == "v1.13.9"
    with pytest.raises(NodeError, match="not authorized"):
        await ask(first, reader, lambda api: api.reset(graceful=False, reboot=True))
