"""The site file of a lab: the same language as for real machines, with the lab's addresses and its image."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from iso.lab.image import LabImage
from iso.lab.spec import LabInfo, MachineInfo

_HEAD = """# Written by `cto lab up`. It describes the lab's simulated machines in the words you would use for
# real ones: change it, then see with `cto plan` what would happen and make it so with `cto apply`.
"""


def site_file(
    info: LabInfo,
    *,
    images: Mapping[str, LabImage],
    kubernetes: str,
    organization: str = "lab",
    timezone: str = "UTC",
) -> str:
    """YAML in the fleet/v1 language. `images`: by architecture ("amd64", "arm64"), each that the lab has."""
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
        documents.append(_document("Cluster", machines[0].cluster, _cluster(site, machines, main, images)))
    texts = [
        yaml.safe_dump(document, sort_keys=False, default_flow_style=False, width=110)
        for document in documents
    ]
    return _HEAD + "---\n" + "---\n".join(texts)


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _cluster(
    site: str, machines: Sequence[MachineInfo], main: LabImage, images: Mapping[str, LabImage]
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
