"""How many replicas Longhorn should keep of a volume, and what has to be changed for that. Reads nothing.

Never fewer than there are, never more than three: a fourth costs a disk and survives what three do.
Longhorn's own objects: Setting and Volume of longhorn.io/v1beta2, a StorageClass, and the ConfigMap that it
is made from.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 3
NAMESPACE = "longhorn-system"
SETTING = f"/apis/longhorn.io/v1beta2/namespaces/{NAMESPACE}/settings/default-replica-count"
VOLUMES = f"/apis/longhorn.io/v1beta2/namespaces/{NAMESPACE}/volumes"
NODES = f"/apis/longhorn.io/v1beta2/namespaces/{NAMESPACE}/nodes"
CLASS_SOURCE = f"/api/v1/namespaces/{NAMESPACE}/configmaps/longhorn-storageclass"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_CLASS_KEY = "storageclass.yaml"
_COUNT = re.compile(r"""(numberOfReplicas:\s*)(["']?)(\d+)\2""")


@dataclass(frozen=True, slots=True)
class Patch:
    path: str
    body: Mapping[str, Any]
    told: str


def wanted(nodes: Sequence[Mapping[str, Any]]) -> int:
    """One on each node that takes replicas now, as far as that makes sense."""
    return min(MOST, sum(map(_takes, nodes)))


def _takes(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and bool((node.get("spec") or {}).get("allowScheduling", True))


def setting_patch(setting: Mapping[str, Any], count: int) -> Patch | None:
    """Its value is a number, from Longhorn 1.10 on one for each data engine."""
    before = str(setting.get("value", ""))
    engines = _engines(before)
    if engines is None:
        after = str(count) if before.isdigit() and int(before) < count else before
    else:
        raised = {name: str(max(int(value), count)) for name, value in engines.items()}
        after = json.dumps(raised) if raised != engines else before
    return (
        None if after == before else Patch(SETTING, {"value": after}, f"default replicas {before} → {after}")
    )


def _engines(value: str) -> Mapping[str, str] | None:
    try:
        found = json.loads(value)
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(str(number).isdigit() for number in found.values()):
        return None
    return {str(name): str(number) for name, number in found.items()}


def volume_patches(volumes: Sequence[Mapping[str, Any]], count: int) -> list[Patch]:
    patches = []
    for volume in volumes:
        name, before = str(volume["metadata"]["name"]), (volume.get("spec") or {}).get("numberOfReplicas")
        if isinstance(before, int) and 0 < before < count:
            body = {"spec": {"numberOfReplicas": count}}
            patches.append(Patch(f"{VOLUMES}/{name}", body, f"volume {name}: {before} → {count} replicas"))
    return patches


def class_patch(source: Mapping[str, Any], count: int) -> Patch | None:
    """A class's parameters can't be changed; Longhorn makes the class anew when its ConfigMap changes."""
    before = str((source.get("data") or {}).get(_CLASS_KEY, ""))
    found = _COUNT.search(before)
    if found is None or int(found[3]) >= count:
        return None
    after = before[: found.start()] + f'{found[1]}"{count}"' + before[found.end() :]
    return Patch(CLASS_SOURCE, {"data": {_CLASS_KEY: after}}, f"StorageClass: {found[3]} → {count} replicas")


def left_behind(classes: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """Classes of one's own with fewer: they have to be made anew by whoever made them."""
    found = []
    for one in classes:
        told = str((one.get("parameters") or {}).get("numberOfReplicas", ""))
        if one.get("provisioner") == "driver.longhorn.io" and told.isdigit() and int(told) < count:
            found.append(str(one["metadata"]["name"]))
    return found
