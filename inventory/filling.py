"""A template's body with one site's values in it, checked as strictly as if it had been written out.

Substitution itself is `inventory.template`'s; this decides the variables and reports what does not fit.
"""

from collections.abc import Mapping
from typing import Any

from inventory.declared import Declared, Problems
from inventory.documents.site import Site
from inventory.documents.site_template import SiteTemplate, TemplateBody, TemplateNode
from inventory.findings import suggest
from inventory.overlay import Part
from inventory.template import Filler
from inventory.yaml_source import Path


class Nodes(list[Any]):
    """A filled-in list of nodes that remembers where in the template each came from."""

    def __init__(self, nodes: list[Any], positions: list[int]) -> None:
        super().__init__(nodes)
        self.positions = positions


def fill(
    site: Declared[Site],
    template: Declared[SiteTemplate],
    organization: str,
    timezone: str,
    problems: Problems,
) -> Part | None:
    """The filled-in body; None if something does not fit, with the problems noted."""
    before = len(problems.found)
    variables = {"organization.name": organization, "site.name": site.name, "site.timezone": timezone}
    filler = Filler({**variables, **_parameters(site, template, problems)})
    if len(problems.found) > before:
        return None
    body = _fill_body(template, filler)
    for name, path in dict.fromkeys(filler.unknown):
        fix = suggest(name, [*filler.variables, "index"], "variable")
        problems.note(template.source, path, f"unknown variable ${{{name}}}", fix)
    if len(problems.found) == before:
        _check_body(template, body, f", filled in for site {site.name}", problems)
    if len(problems.found) > before:
        return None
    return Part(f"template {template.name}", body, template.source, ("spec",))


def _parameters(site: Declared[Site], template: Declared[SiteTemplate], problems: Problems) -> dict[str, Any]:
    declared, given = template.model.spec.parameters, site.model.spec.parameters or {}
    values: dict[str, Any] = {}
    for name in given:
        if name not in declared:
            what = f"template {template.name} has no parameter {name!r}"
            fix = suggest(name, list(declared), "parameter")
            problems.note(site.source, ("spec", "parameters", name), what, fix)
    for name, parameter in declared.items():
        value = values[name] = given.get(name, parameter.default)
        path = ("spec", "parameters", name)
        if value is None:
            what = f"parameter {name!r} of template {template.name} is missing"
            problems.note(site.source, path, what, f"add `{name}:` below parameters")
        elif not parameter.accepts(value):
            fix = "write a whole number, without quotes" if parameter.type == "number" else "put it in quotes"
            problems.note(site.source, path, f"parameter {name!r} must be a {parameter.type or 'text'}", fix)
    return values


def _fill_body(template: Declared[SiteTemplate], filler: Filler) -> dict[str, Any]:
    spec = template.source.data["spec"]
    body = {key: value for key, value in spec.items() if key not in {"parameters", "clusters"}}
    filled: dict[str, Any] = filler.fill(body, ("spec",))
    filled["clusters"] = [
        _fill_cluster(cluster, filler, ("spec", "clusters", index))
        for index, cluster in enumerate(spec.get("clusters") or [])
    ]
    return filled


def _fill_cluster(cluster: Mapping[str, Any], filler: Filler, path: Path) -> dict[str, Any]:
    nodes = cluster.get("nodes")
    rest = {key: value for key, value in cluster.items() if key != "nodes" or not isinstance(nodes, list)}
    filled: dict[str, Any] = filler.fill(rest, path)
    if isinstance(nodes, list):
        found = list(filler.repeat(nodes, (*path, "nodes")))
        filled["nodes"] = Nodes([node for _, node in found], [position for position, _ in found])
    return filled


def _check_body(
    template: Declared[SiteTemplate], body: Mapping[str, Any], note: str, problems: Problems
) -> None:
    """The frame and each node by itself, so that problems point to lines of the template."""
    source = template.source
    frame = [
        {key: value for key, value in cluster.items() if not isinstance(value, Nodes)}
        for cluster in body["clusters"]
    ]
    problems.check(TemplateBody, {**body, "clusters": frame}, source, ("spec",), note)
    for index, cluster in enumerate(body["clusters"]):
        nodes = cluster.get("nodes")
        if isinstance(nodes, Nodes):
            for position, node in zip(nodes.positions, nodes, strict=True):
                path = ("spec", "clusters", index, "nodes", position)
                problems.check(TemplateNode, node, source, path, note)
