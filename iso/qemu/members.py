"""Which machines a lab of virtual ones has, and the site file that describes them. Starts nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from inventory.errors import OperatorError
from iso.qemu.bridge import PREFIX

SITE = "qemu"
MOST = 40  # addresses that the bridge has for them
_FIRST_HOST = 10
_HEAD = """# Written by `cto lab up --qemu`. It describes the virtual machines in the words you would use for
# real ones. The disk image comes from the place named here, or from the image factory.
"""


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    role: str
    mac: str
    address: str


def members(count: int) -> tuple[Member, ...]:
    """One: an appliance. Two: a control plane and a worker. More: three control planes, the rest workers."""
    if not 1 <= count <= MOST:
        raise OperatorError(f"a lab of {count} virtual machines is not possible", fix=f"choose 1 to {MOST}")
    controls = 1 if count == 2 else 3
    found = []
    for number in range(1, count + 1):
        if count == 1:
            name, role = f"{SITE}-1", "appliance"
        elif number <= controls:
            name, role = f"{SITE}-cp-{number}", "controlplane"
        else:
            name, role = f"{SITE}-worker-{number - controls}", "worker"
        address = f"{PREFIX}.{_FIRST_HOST + number}"
        found.append(Member(name, role, f"52:54:00:98:00:{number:02x}", address))
    return tuple(found)


def site_file(machines: Sequence[Member], *, image: dict[str, str], kubernetes: str) -> str:
    """YAML in the fleet/v1 language; `image` as a site file says it."""
    nodes = [{"name": item.name, "role": item.role, "address": item.address} for item in machines]
    cluster = {"site": SITE, "endpoint": f"https://{machines[0].address}:6443", "nodes": nodes}
    organization = {"clusterDefaults": {"kubernetes": kubernetes}, "defaults": {"image": image}}
    documents: list[dict[str, Any]] = [
        _document("Organization", "lab", organization),
        _document("Site", SITE, {"timezone": "UTC"}),
        _document("Cluster", SITE, cluster),
    ]
    return _HEAD + "---\n" + "---\n".join(yaml.safe_dump(item, sort_keys=False) for item in documents)


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
