"""What the tests of growing, shrinking and recovering clusters share: site files, effects, a Longhorn.

Decides nothing about the product: it writes site files and reads what the lab's machines saw.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import yaml

from controller.adapters.kube import KubernetesApi
from controller.app.context import Limits, target_of
from controller.app.stored import stored_jobs
from controller.wiring import on_loop, open_services
from iso.lab import client
from tests.e2e.harness import LabHome, until

STABLE = {"CTO_STABLE_SECONDS": "0.2"}
LAB = ("--hardware", "intel-nuc")


def names(lab: LabHome) -> list[str]:
    return [str(row["name"]) for row in lab.rows("SELECT name FROM nodes ORDER BY address")]


def documents(lab: LabHome) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(lab.site.read_text()))


def declare(lab: LabHome, roles: Mapping[str, str], **cluster: Any) -> None:
    """These nodes, and no others, with these roles."""
    written = documents(lab)
    spec = next(d for d in written if d["kind"] == "Cluster")["spec"]
    machines = {m.name: m for m in lab.info().machines}
    spec["nodes"] = [
        {"name": n, "role": role, "address": machines[n].address, "sshPort": machines[n].ssh_port}
        for n, role in roles.items()
    ]
    spec.update(cluster)
    for key in [key for key, value in spec.items() if value is None]:
        del spec[key]
    lab.site.write_text(yaml.safe_dump_all(written))


def planes(*members: str) -> dict[str, str]:
    return dict.fromkeys(members, "controlplane")


def power(lab: LabHome, name: str, action: str) -> None:
    client.command(lab.lab, {"op": "power", "machine": name, "action": action})
    if action == "off":
        until(lambda: lab.machine(name).state == "off", f"{name} is off")


def joined(lab: LabHome, members: Sequence[str]) -> list[str]:
    """In the order in which their etcd ran."""
    times = {}
    for name in members:
        running = [e["at"] for e in lab.log(name) if e["event"] == "etcd-running"]
        if running:
            times[name] = running[0]
    return sorted(times, key=lambda name: str(times[name]))


def access(lab: LabHome, cluster: str) -> bytes:
    path = lab.ok("cluster", "kubeconfig", cluster).stdout.strip()
    return Path(path).read_bytes()


def server(lab: LabHome, cluster: str) -> str:
    return str(yaml.safe_load(access(lab, cluster))["clusters"][0]["cluster"]["server"])


def nodes_at(lab: LabHome, cluster: str, host: str) -> list[str]:
    """By the kubeconfig, with its server at another of the addresses that certificates are for."""
    config = yaml.safe_load(access(lab, cluster))
    config["clusters"][0]["cluster"]["server"] = f"https://{host}:6443"
    found = asyncio.run(KubernetesApi().nodes(yaml.safe_dump(config).encode()))
    return sorted(node.name for node in found)


CLASS = """kind: StorageClass
apiVersion: storage.k8s.io/v1
metadata:
  name: longhorn
provisioner: driver.longhorn.io
parameters:
  numberOfReplicas: "1"
"""
OWN = ("longhorn.io", "v1beta2", "longhorn-system")


def client_of(lab: LabHome, cluster: str) -> Any:
    """The official client, as whoever installs Longhorn has it."""
    return kubernetes.config.new_client_from_config_dict(yaml.safe_load(access(lab, cluster)))


def longhorn_of_one(lab: LabHome, cluster: str) -> None:
    """Longhorn as it was set up for a single node: one replica of everything."""
    with client_of(lab, cluster) as client:
        own = kubernetes.client.CustomObjectsApi(client)
        setting = {"metadata": {"name": "default-replica-count"}, "value": "1"}
        own.create_namespaced_custom_object(*OWN, "settings", setting)
        volume = {"metadata": {"name": "pvc-1"}, "spec": {"numberOfReplicas": 1, "size": "10"}}
        own.create_namespaced_custom_object(*OWN, "volumes", volume)
        source = {"metadata": {"name": "longhorn-storageclass"}, "data": {"storageclass.yaml": CLASS}}
        kubernetes.client.CoreV1Api(client).create_namespaced_config_map("longhorn-system", source)


def replicas(lab: LabHome, cluster: str) -> tuple[str, int, str]:
    """(by default, of the volume there is, of the StorageClass)."""
    with client_of(lab, cluster) as client:
        own = kubernetes.client.CustomObjectsApi(client)
        setting = own.get_namespaced_custom_object(*OWN, "settings", "default-replica-count")
        volume = own.get_namespaced_custom_object(*OWN, "volumes", "pvc-1")
        stored = kubernetes.client.StorageV1Api(client).read_storage_class("longhorn")
    return setting["value"], volume["spec"]["numberOfReplicas"], stored.parameters["numberOfReplicas"]


def one(lab: LabHome) -> str:
    """A verified cluster of one; returns its name."""
    first = names(lab)[0]
    declare(lab, {first: "appliance"})
    lab.apply()
    cluster = lab.machine(first).cluster
    assert lab.cluster_state(cluster) == "ready"
    return cluster


def three(lab: LabHome) -> tuple[str, str, str]:
    a, b, c = names(lab)[:3]
    declare(lab, planes(a, b, c))
    lab.apply()
    return a, b, c


def again(lab: LabHome, name: str) -> None:
    """The machine is in the bootstrap environment, and its new key is trusted."""
    until(lambda: lab.machine(name).words or None, f"{name} is in the bootstrap environment, with its words")
    found = lab.machine(name)
    add = ("node", "add", name, "--address", f"{found.address}:{found.ssh_port}")
    lab.ok(*add, "--words", found.words, "--replace")


def takes_pods(lab: LabHome, cluster: str, node: str) -> bool:
    """May pods that ask for nothing special run there?"""
    with client_of(lab, cluster) as client:
        found = kubernetes.client.CoreV1Api(client).read_node(node)
    return not any(taint.effect == "NoSchedule" for taint in found.spec.taints or ())


def with_vip(lab: LabHome, *members: str) -> str:
    """Declares them as control planes that share an address and want Longhorn; returns the address."""
    network = {"settings": {"network": {"interfaces": [{"name": "eno1"}]}, "longhorn": True}}
    vip = lab.machine(members[0]).address.rpartition(".")[0] + ".250"
    declare(lab, planes(*members), endpoint=None, vip=vip, defaults=network)
    return vip


def snapshot(lab: LabHome, cluster: str) -> dict[str, Any]:
    taken: dict[str, Any] = json.loads(lab.ok("etcd", "snapshot", cluster, "--output", "json").stdout)
    return taken


def smudge(lab: LabHome, *names: str) -> None:
    """One byte on the disk of each: it holds nothing, but is not blank, so that preparing it does something."""

    async def run() -> None:
        async with on_loop(services):
            for row in services.store.nodes():
                if row.name in names:
                    await services.ssh.run(target_of(row), "printf x | dd of=/dev/nvme0n1 conv=notrunc bs=1")

    with open_services(lab.home) as services:
        asyncio.run(run())


def kube_calls(lab: LabHome, members: Sequence[str], method: str, path: str) -> int:
    """How often an API server did this."""
    logs = [event for name in members for event in lab.log(name) if event["event"] == "kube"]
    return sum((e["method"], e["path"], e["status"]) == (method, path, 200) for e in logs)


def forget_etcd(lab: LabHome, name: str) -> None:
    """Somebody wipes EPHEMERAL of a machine by its own API, without leaving etcd; it comes back empty."""

    async def wipe() -> None:
        async with on_loop(services):
            row = services.store.node(name)
            assert row is not None
            cluster = services.store.cluster(row.cluster)
            assert cluster is not None
            jobs = stored_jobs(services, cluster, Limits.default())
            job = next(job for job in jobs if job.node.name == name)
            async with job.talos() as node:
                await node.reset(graceful=False, reboot=True, partitions=("EPHEMERAL",))

    with open_services(lab.home) as services:
        asyncio.run(wipe())
    until(lambda: [e["event"] for e in lab.log(name)].count("talos-boot") > 1, f"{name} boots again")
