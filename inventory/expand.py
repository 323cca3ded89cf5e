"""Documents → one stack of layers for each site, cluster and node: organization → template → site → cluster
→ role → class → node. Finds references that lead nowhere; what the values mean together is checked later.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.declared import Declared, Documents, Problems
from inventory.documents.cluster import Cluster
from inventory.documents.node import Node
from inventory.documents.node_class import NodeClass
from inventory.documents.organization import Organization
from inventory.documents.site import Site
from inventory.documents.site_template import SiteTemplate
from inventory.errors import Problem
from inventory.filling import Nodes, fill
from inventory.findings import suggest
from inventory.overlay import Layer, Part, Stack

BUILT_IN = "built-in default"
NODE_DEFAULTS: Mapping[str, Any] = {
    "sshPort": 22,
    "sshUser": "root",
    "disk": {"wipe": False},
    "delivery": {"method": "auto", "trustSegment": False},
    "image": {"factory": "https://factory.talos.dev"},
}
CLUSTER_DEFAULTS: Mapping[str, Any] = {
    "podCIDR": "10.244.0.0/16",
    "serviceCIDR": "10.96.0.0/12",
    "cni": "flannel",
    "discovery": True,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A cluster before its stack is built: its own part, its site and its nodes' parts."""

    name: str
    part: Part
    site: str
    nodes: list[Part]


@dataclass(slots=True)
class Stacks:
    organization: str
    sites: dict[str, Stack] = field(default_factory=dict)
    clusters: dict[str, Stack] = field(default_factory=dict)
    nodes: dict[str, Stack] = field(default_factory=dict)


def expand(documents: Documents, problems: Problems, warnings: Problems) -> Stacks:
    """All stacks; what cannot be placed is left out and noted in `problems`."""
    return _Expansion(documents, problems, warnings).run()


class _Expansion:
    def __init__(self, documents: Documents, problems: Problems, warnings: Problems) -> None:
        self.documents, self.problems, self.warnings = documents, problems, warnings
        self.organization = self._only_organization()
        self.organization_name = self.organization.name if self.organization else "default"
        self.sites = {item.name: item for item in documents.of(Site)}
        self.templates = {item.name: item for item in documents.of(SiteTemplate)}
        self.classes = {item.name: item for item in documents.of(NodeClass)}
        self.used_classes: set[str] = set()
        # What a site inherits, lowest first: organization, template (filled in), the site itself.
        self.bases: dict[str, list[Part]] = {}
        self.drafts: dict[str, Draft] = {}

    def run(self) -> Stacks:
        stacks = Stacks(self.organization_name)
        for site in self.sites.values():
            stacks.sites[site.name] = self._site(site)
        for cluster in self.documents.of(Cluster):
            self._cluster_document(cluster)
        for node in self.documents.of(Node):
            self._node_document(node)
        for name, draft in self.drafts.items():
            stacks.clusters[name] = self._cluster_stack(draft)
            for part in draft.nodes:
                self._add_node(stacks, draft, part)
        self._check_site_nodes()
        self._warn_unused()
        return stacks

    def _only_organization(self) -> Declared[Organization] | None:
        found = list(self.documents.of(Organization))
        for extra in found[1:]:
            self.problems.note(
                extra.source,
                ("kind",),
                "there is a second Organization",
                f"keep one of them; the first is at {found[0].at}",
            )
        return found[0] if found else None

    # Sites and templates

    def _site(self, site: Declared[Site]) -> Stack:
        own = _spec(site, f"site {site.name}")
        base: list[Part] = []
        if self.organization:
            base.append(_spec(self.organization, f"organization {self.organization.name}"))
        timezone = site.model.spec.timezone or (self.organization and self.organization.model.spec.timezone)
        template = self._template_of(site)
        if template is not None:
            filled = fill(site, template, self.organization_name, timezone or "", self.problems)
            if filled is not None:
                base.append(filled)
                self._template_clusters(site, filled)
        self.bases[site.name] = [*base, own]
        inherited = [base[0].only("timezone")] if self.organization else []
        labels = [layer for part in self.bases[site.name] for layer in _labels(part)]
        return Stack((*inherited, own.only("template", "parameters", "timezone"), *labels))

    def _template_of(self, site: Declared[Site]) -> Declared[SiteTemplate] | None:
        name = site.model.spec.template
        if name is None:
            if site.model.spec.parameters:
                path = ("spec", "parameters")
                self.problems.note(
                    site.source, path, "parameters without a template", "name the template, or remove them"
                )
            return None
        if name not in self.templates:
            fix = suggest(name, list(self.templates), "template")
            self.problems.note(site.source, ("spec", "template"), f"there is no SiteTemplate {name!r}", fix)
        return self.templates.get(name)

    def _template_clusters(self, site: Declared[Site], body: Part) -> None:
        for index, cluster in enumerate(body.data.get("clusters") or []):
            prefix = ("spec", "clusters", index)
            name = str(cluster["name"])
            nodes = cluster.get("nodes") or Nodes([], [])
            parts = [
                Part(f"node {node['name']}", node, body.source, (*prefix, "nodes", position))
                for position, node in zip(nodes.positions, nodes, strict=True)
            ]
            part = Part(f"cluster {name}", cluster, body.source, prefix)
            self._add_draft(Draft(name, part, site.name, parts))

    # Clusters and nodes

    def _cluster_document(self, cluster: Declared[Cluster]) -> None:
        site = cluster.model.spec.site
        if site not in self.sites:
            fix = suggest(site, list(self.sites), "site") if self.sites else "add a document of kind Site"
            self.problems.note(cluster.source, ("spec", "site"), f"there is no Site {site!r}", fix)
            return
        part = _spec(cluster, f"cluster {cluster.name}")
        nodes = [
            Part(f"node {node['name']}", node, cluster.source, ("spec", "nodes", index))
            for index, node in enumerate(part.data.get("nodes") or [])
        ]
        self._add_draft(Draft(cluster.name, part, site, nodes))

    def _node_document(self, node: Declared[Node]) -> None:
        cluster = node.model.spec.cluster
        draft = self.drafts.get(cluster)
        if draft is None:
            fix = suggest(cluster, list(self.drafts), "cluster")
            self.problems.note(node.source, ("spec", "cluster"), f"there is no Cluster {cluster!r}", fix)
            return
        part = _spec(node, f"node {node.name}")
        draft.nodes.append(Part(part.name, {**part.data, "name": node.name}, part.source, part.prefix))

    def _add_draft(self, draft: Draft) -> None:
        earlier = self.drafts.setdefault(draft.name, draft)
        if earlier is not draft:
            self._declared_twice("cluster", draft.name, draft.part, earlier.part.at("name"))

    def _declared_twice(self, kind: str, name: str, part: Part, first: str) -> None:
        fix = f"rename or remove one; the first is at {first}"
        if kind == "node" and part.prefix == ("spec",):
            fix += "; to change a template's node, write it below `nodes:` of its Site"
        self.problems.note(part.source, (*part.prefix, "name"), f"{kind} {name!r} is declared twice", fix)

    def _cluster_stack(self, draft: Draft) -> Stack:
        layers = [Layer(BUILT_IN, CLUSTER_DEFAULTS)]
        for part in self.bases[draft.site]:
            layers += [*part.layer("clusterDefaults"), *_labels(part)]
        own = draft.part.without("nodes", "defaults", "roles", "name", site=draft.site)
        return Stack((*layers, own, *_labels(draft.part)))

    def _add_node(self, stacks: Stacks, draft: Draft, part: Part) -> None:
        name = str(part.data["name"])
        if name in stacks.nodes:
            first = stacks.nodes[name].where(("role",))
            self._declared_twice("node", name, part, f"{first.file}:{first.line}")
            return
        site = _spec(self.sites[draft.site], f"{part.name} at site {draft.site}")
        inherited = list(self._inherited(draft, str(part.data.get("role"))))
        own = [part.without("name", "count", cluster=draft.name), *_labels(part), *site.layer("nodes", name)]
        class_ = self._class_layers(name, Stack((*inherited, *own)))
        stacks.nodes[name] = Stack((*inherited, *class_, *own))

    def _inherited(self, draft: Draft, role: str) -> Iterator[Layer]:
        """Everything below the node's class: built-in, then wide to narrow, roles after that."""
        parts = [*self.bases[draft.site], draft.part]
        yield Layer(BUILT_IN, NODE_DEFAULTS)
        for part in parts:
            yield from _labels(part)
            yield from part.layer("defaults")
        for part in parts:
            yield from part.layer("roles", role, title=f"role {role} of {part.name}")

    def _class_layers(self, node: str, stack: Stack) -> list[Layer]:
        name = stack.merged().get("nodeClass")
        if name is None:
            return []
        found = self.classes.get(name)
        if found is None:
            origin = stack.where(("nodeClass",))
            fix, what = suggest(name, list(self.classes), "class"), f"there is no NodeClass {name!r}"
            path = f"nodes/{node}/nodeClass"
            self.problems.add([Problem(file=origin.file, line=origin.line, path=path, what=what, fix=fix)])
            return []
        self.used_classes.add(name)
        part = _spec(found, f"class {name}")
        return [*_labels(part), *part.layer()]

    # Leftovers

    def _check_site_nodes(self) -> None:
        for site in self.sites.values():
            if not site.model.spec.nodes:
                continue
            here = [draft for draft in self.drafts.values() if draft.site == site.name]
            known = [str(part.data["name"]) for draft in here for part in draft.nodes]
            for name in site.model.spec.nodes:
                if name not in known:
                    what, fix = f"site {site.name} has no node {name!r}", suggest(name, known, "node")
                    self.problems.note(site.source, ("spec", "nodes", name), what, fix)

    def _warn_unused(self) -> None:
        used = {site.model.spec.template for site in self.sites.values()}
        for template in self.templates.values():
            if template.name not in used:
                what = f"no site uses template {template.name}, so its contents were not checked"
                fix = f"name it in a site (`template: {template.name}`), or remove it"
                self.warnings.note(template.source, ("metadata", "name"), what, fix)
        for class_ in self.classes.values():
            if class_.name not in self.used_classes:
                what, fix = f"no node is of class {class_.name}", "name it in nodeClass, or remove it"
                self.warnings.note(class_.source, ("metadata", "name"), what, fix)


def _spec(item: Declared[Any], name: str) -> Part:
    return Part(name, item.source.data.get("spec") or {}, item.source, ("spec",))


def _labels(part: Part) -> list[Layer]:
    """The labels in the metadata of a part's document, if the part is the whole document's."""
    labels = part.source.data["metadata"].get("labels") if part.prefix == ("spec",) else None
    return [Layer(part.name, {"labels": labels}, part.source, ("metadata",))] if labels else []
