"""Site files cut down to one site: what a medium that travels to that site needs, and nothing of the others.

Text in, text out. The result is read again and held to the original: the site means the same in both.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from inventory.errors import InvariantError, OperatorError
from inventory.fleet import Fleet
from inventory.model import API_VERSION
from inventory.resolve import load_files
from inventory.yaml_source import load

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_SHARED = ("Organization", "SiteTemplate", "NodeClass")  # layers, which no site owns


class _Dumper(yaml.SafeDumper):
    """Quotes text that is not plainly text: what is a number differs between YAML 1.1 and 1.2."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def of_site(texts: Mapping[str, str], site: str) -> str:
    """The documents that say what is at `site`. Calendars stay behind: they are the controller's business."""
    fleet = load_files(texts).fleet
    if site not in fleet.sites:
        known = ", ".join(fleet.sites) or "none"
        raise OperatorError(f"no site file has a site {site!r}", fix=f"name one of: {known}")
    documents = [document.data for name, text in texts.items() for document in load(text, name)]
    kept = [document for document in documents if _wanted(document, fleet, site)]
    text = "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True) for document in kept
    )
    if _meaning(load_files({"site.yaml": text}).fleet, site) != _meaning(fleet, site):
        raise InvariantError(f"cut down to site {site}, the site files mean something else")
    return text


def _wanted(document: Mapping[str, Any], fleet: Fleet, site: str) -> bool:
    if document.get("apiVersion") != API_VERSION:
        return False
    kind, name = document["kind"], document["metadata"]["name"]
    spec = document.get("spec") or {}
    if kind == "Site":
        return bool(name == site)
    if kind == "Cluster":
        return bool(spec.get("site") == site)
    if kind == "Node":
        cluster = fleet.clusters.get(str(spec.get("cluster")))
        return cluster is not None and cluster.site == site
    return kind in _SHARED


def _meaning(fleet: Fleet, site: str) -> tuple[Any, ...]:
    clusters = fleet.sites[site].clusters
    nodes = {name: node for name, node in fleet.nodes.items() if node.site == site}
    return fleet.sites[site], {name: fleet.clusters[name] for name in clusters}, nodes
