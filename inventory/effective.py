"""Stacks → the frozen values of `inventory.fleet`, with the effective documents beside them. Checks only that
each merged part still fits its model; what parts mean together is `inventory.crosscheck`'s.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from inventory import fleet as f
from inventory.declared import Problems
from inventory.delivery import decide
from inventory.expand import Stacks
from inventory.findings import problems_of
from inventory.model import Model
from inventory.moments import Zone
from inventory.overlay import Layer, Stack
from inventory.parts import ClusterFields, NodeSpec
from inventory.values import Endpoint, LabelKey, LabelValue, Name, ip_or_none
from inventory.yaml_source import SourceDocument

Tree = dict[str, Any]
M = TypeVar("M", bound=BaseModel)
CONTROL_PLANES = ("controlplane", "appliance")
API_PORT = 6443


class EffectiveSite(Model):
    timezone: Zone | None = None
    template: Name | None = None
    parameters: dict[str, Any] | None = None
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)


class EffectiveCluster(ClusterFields):
    site: Name
    endpoint: Endpoint | None = None
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)


class EffectiveNode(NodeSpec):
    cluster: Name


class Effective:
    """Effective trees by name (camelCase, as in the files) and the stacks that they were merged from."""

    def __init__(self, stacks: Stacks, problems: Problems) -> None:
        self.organization = stacks.organization
        self.stacks: dict[str, dict[str, Stack]] = {
            "sites": stacks.sites,
            "clusters": stacks.clusters,
            "nodes": stacks.nodes,
        }
        self.sites = self._trees(EffectiveSite, stacks.sites, problems)
        self.nodes = self._trees(EffectiveNode, stacks.nodes, problems)
        self.members = self._members(stacks.clusters)
        for name, stack in stacks.clusters.items():
            stacks.clusters[name] = Stack((self._derived(name), *stack.layers))
        self.clusters = self._trees(EffectiveCluster, stacks.clusters, problems)

    def trees(self) -> dict[str, dict[str, Tree]]:
        return {"sites": self.sites, "clusters": self.clusters, "nodes": self.nodes}

    def fleet(self) -> f.Fleet:
        clusters_of: dict[str, list[str]] = {name: [] for name in self.sites}
        for name, tree in self.clusters.items():
            clusters_of[tree["site"]].append(name)
        sites = {name: self._site(name, tree, clusters_of[name]) for name, tree in self.sites.items()}
        clusters = {name: self._cluster(name, tree) for name, tree in self.clusters.items()}
        nodes = {
            name: _node(name, self.clusters[tree["cluster"]]["site"], tree)
            for name, tree in self.nodes.items()
        }
        return f.Fleet(self.organization, sites, clusters, nodes)

    @staticmethod
    def _trees(model: type[BaseModel], stacks: Mapping[str, Stack], problems: Problems) -> dict[str, Tree]:
        trees: dict[str, Tree] = {}
        for name, stack in stacks.items():
            merged = stack.merged()
            try:
                trees[name] = model.model_validate(merged).model_dump(by_alias=True, exclude_none=True)
            except ValidationError as error:
                origin = stack.where(())
                problems.add(problems_of(error, model, SourceDocument(merged, origin.file, origin.line)))
        return trees

    def _members(self, clusters: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Cluster → its nodes, control planes first, else in the order of the files."""
        found: dict[str, list[str]] = {name: [] for name in clusters}
        for name, tree in self.nodes.items():
            found[tree["cluster"]].append(name)
        return {
            cluster: tuple(sorted(names, key=lambda name: self.nodes[name]["role"] not in CONTROL_PLANES))
            for cluster, names in found.items()
        }

    def control_planes(self, cluster: str) -> tuple[str, ...]:
        return tuple(name for name in self.members[cluster] if self.nodes[name]["role"] in CONTROL_PLANES)

    def _derived(self, cluster: str) -> Layer:
        """What follows from the nodes, unless a layer says otherwise."""
        data: Tree = {"allowSchedulingOnControlPlanes": len(self.members[cluster]) == 1}
        control_planes = self.control_planes(cluster)
        shared = self.stacks["clusters"][cluster].merged().get("vip")
        if shared or len(control_planes) == 1:
            only = self.nodes[control_planes[0]] if control_planes else {}
            address = str(shared or only.get("talosAddress") or only.get("address") or "")
            if address:
                found = ip_or_none(address)
                host = f"[{address}]" if found is not None and found.version == 6 else address
                data["endpoint"] = f"https://{host}:{API_PORT}"
        return Layer("derived from its nodes", data)

    def _site(self, name: str, tree: Tree, clusters: list[str]) -> f.Site:
        return f.Site(name, self.organization, tree.get("timezone", ""), tuple(clusters), tree["labels"])

    def _cluster(self, name: str, tree: Tree) -> f.Cluster:
        own = {"site", "endpoint", "kubernetes", "allowSchedulingOnControlPlanes", "labels"}
        return f.Cluster(
            name=name,
            site=tree["site"],
            endpoint=tree.get("endpoint", ""),
            kubernetes=tree.get("kubernetes", ""),
            nodes=self.members[name],
            allow_scheduling_on_control_planes=tree["allowSchedulingOnControlPlanes"],
            settings={key: value for key, value in tree.items() if key not in own},
        )


def _delivery(tree: Tree, talos: str) -> f.Delivery:
    method, reason = decide(tree["method"], talos)
    return f.Delivery(method, tree["trustSegment"], reason)


def _node(name: str, site: str, tree: Tree) -> f.Node:
    image, disk, delivery = tree["image"], tree["disk"], tree["delivery"]
    return f.Node(
        name=name,
        site=site,
        cluster=tree["cluster"],
        role=tree["role"],
        address=tree.get("address", ""),
        ssh_port=tree["sshPort"],
        ssh_user=tree["sshUser"],
        jump=tree.get("jump", ""),
        host_key=tree.get("hostKey", ""),
        talos_address=tree.get("talosAddress", ""),
        labels=tree.get("labels", {}),
        hardware={
            "tpm_ek" if key == "tpmEk" else key: value for key, value in tree.get("hardware", {}).items()
        },
        node_class=tree.get("nodeClass", ""),
        hardware_profile=tree.get("hardwareProfile", ""),
        disk=f.Disk(disk.get("path", ""), disk.get("serial", ""), disk.get("wwid", ""), disk["wipe"]),
        image=f.Image(
            talos=image.get("talos", ""),
            schematic=image.get("schematic", ""),
            url=image.get("url", ""),
            sha256=image.get("sha256", ""),
            extensions=tuple(image.get("extensions", ())),
            factory=image["factory"],
        ),
        delivery=_delivery(delivery, image.get("talos", "")),
        patches=tuple(tree.get("patches", ())),
        settings=tree.get("settings", {}),
        bootstrap=tree.get("bootstrap", {}),
    )
