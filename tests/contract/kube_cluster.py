"""One lab control plane whose Kubernetes API serves, and an administrator's kubeconfig for it."""

from iso.lab.talos import pki
from iso.lab.talos.pki import Pair
from tests.contract.talos_lab import KUBE_PORT, bundle, config, now, write_image


async def running_plane(site):
    """Its node is called `cp`."""
    secrets = bundle()
    machine = site.machine("cp")
    endpoint = f"https://{machine.address}:{KUBE_PORT}"
    write_image(machine.disk, config=config(secrets, hostname="cp", endpoint=endpoint))
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    machine.instance.etcd.bootstrap()
    await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())
    machine.secrets = secrets
    return machine


def admin(machine) -> bytes:
    made = pki.issue(
        Pair(machine.secrets.k8s.crt, machine.secrets.k8s.key),
        now=now(),
        common_name="admin",
        organizations=("system:masters",),
        client=True,
    )
    return pki.kubeconfig(machine.instance.config, made)
