"""The site file of a lab: the same language as for real machines, with the lab's addresses and its image."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from iso.lab.image import LabImage
from iso.lab.spec import LabInfo, MachineInfo

_UUID = 36  # characters
_HEAD = """# Written by `cto lab up`. It describes the lab's simulated machines in the words you would use for
# real ones: change it, then see with `cto plan` what would happen and make it so with `cto apply`.
"""
_UPDATES_HEAD = """# Written by `cto lab up`, for `cto rollout`: named beside the site file with another -f.
"""


def site_file(
    info: LabInfo,
    *,
    images: Mapping[str, LabImage],
    kubernetes: str,
    organization: str = "lab",
    timezone: str = "UTC",
    enroll: bool = False,
) -> str:
    """YAML in the fleet/v1 language. `images`: by architecture ("amd64", "arm64"), each that the lab has.

    `enroll`: says which machine each node is, as far as machines have a UUID.
    """
    main = images["amd64"] if "amd64" in images else next(iter(images.values()))
    documents: list[dict[str, Any]] = [
        _document("Organization", organization, {
            "clusterDefaults": {"kubernetes": kubernetes},
            "defaults": {"image": _image(main), "settings": {"timeDisabled": True}},
        }),
    ]  # fmt: skip
    sites: dict[str, list[MachineInfo]] = {}
    for machine in info.machines:
        sites.setdefault(machine.site, []).append(machine)
    for site, machines in sites.items():
        documents.append(_document("Site", site, {"timezone": timezone}))
        documents.append(
            _document("Cluster", machines[0].cluster, _cluster(site, machines, main, images, enroll=enroll))
        )
    texts = [
        yaml.safe_dump(document, sort_keys=False, default_flow_style=False, width=110)
        for document in documents
    ]
    return _HEAD + "---\n" + "---\n".join(texts)


def updates_file() -> str:
    """A policy with waits as short as the lab's machines boot, and a window that is always open."""
    timing = {
        "look": 1, "bake": 4, "soak": 3, "drain": 60, "install": 60, "reboot": 60, "verify": 45,
        "soak_deadline": 30, "guard_wait": 60, "health": 2, "late_failure": 20, "backoff": 1,
        "backoff_cap": 5,
    }  # fmt: skip
    policy = {
        "waves": [1, 25, 100], "acceptDowntime": True,
        "expectedDuration": "2m", "rollbackReserve": "1m", "timing": timing,
    }  # fmt: skip
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    window = {"days": days, "start": "00:00", "end": "00:00"}
    documents = (_document("UpdatePolicy", "lab", policy), _document("MaintenanceWindow", "always", window))
    texts = [yaml.safe_dump(document, sort_keys=False, width=110) for document in documents]
    return _UPDATES_HEAD + "---\n" + "---\n".join(texts)


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _cluster(
    site: str,
    machines: Sequence[MachineInfo],
    main: LabImage,
    images: Mapping[str, LabImage],
    *,
    enroll: bool,
) -> dict[str, Any]:
    first = next((machine for machine in machines if machine.role != "worker"), machines[0])
    nodes = []
    for machine in machines:
        node: dict[str, Any] = {
            "name": machine.name,
            "role": machine.role,
            "address": machine.address,
            "sshPort": machine.ssh_port,
        }
        if enroll and len(machine.uuid) == _UUID:
            node["hardware"] = {"uuid": machine.uuid}
        if machine.arch != main.arch:
            node["image"] = _image(images[machine.arch])
        nodes.append(node)
    return {"site": site, "endpoint": f"https://{first.address}:{first.kube_port}", "nodes": nodes}


def _image(image: LabImage) -> dict[str, str]:
    return {
        "talos": image.version.removeprefix("v"),
        "url": image.path.absolute().as_uri(),
        "sha256": image.sha256,
    }
