"""One search over sites, clusters and nodes: names, addresses, labels, problems. Reads only."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from web import present
from web.access.grants import Level
from web.access.guard import need
from web.ports import ClusterView, NodeView, Queries

MOST = 100


@dataclass(frozen=True, slots=True)
class Hit:
    kind: str
    name: str
    about: str
    badge: present.Badge | None = None

    @property
    def href(self) -> str:
        endpoint = {"site": "sites.one", "cluster": "clusters.one", "node": "nodes.page"}[self.kind]
        return url_for(endpoint, name=self.name)


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("search", __name__)

    @blueprint.get("/search")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        asked = request.args.get("q", "").strip()[:200]
        hits = find(queries, asked, clock()) if asked else []
        return render_template("search.html", asked=asked, hits=hits[:MOST], more=len(hits) > MOST)

    return blueprint


def find(queries: Queries, asked: str, now: datetime) -> list[Hit]:
    """Every word has to occur in what is known of a thing; what is called so comes first."""
    words = asked.lower().split()
    found = [hit() for text, hit in _everything(queries, now) if _fits(text.lower(), words)]
    return sorted(
        found, key=lambda hit: (hit.name.lower() != asked.lower(), asked.lower() not in hit.name.lower())
    )


def _fits(text: str, words: list[str]) -> bool:
    return all(word in text for word in words)


def _everything(queries: Queries, now: datetime) -> Iterator[tuple[str, Callable[[], Hit]]]:
    """What can be searched of each thing, and how it is shown if it is found."""
    for site in queries.sites():
        yield (
            f"{site.name} {site.timezone} {_labels(site.labels)}",
            partial(Hit, "site", site.name, site.timezone),
        )
    for cluster in queries.clusters():
        text = f"{cluster.name} {cluster.site} {cluster.endpoint} {cluster.kubernetes} {cluster.problem}"
        yield text, partial(_cluster, cluster, now)
    for node in queries.nodes():
        text = f"{_about(node)} {node.talos} {node.profile} {node.problem} {node.host_key_words}"
        yield f"{node.name} {text} {_labels(node.labels)}", partial(_node, node, now)


def _cluster(cluster: ClusterView, now: datetime) -> Hit:
    about = f"{cluster.site} · Kubernetes {cluster.kubernetes}"
    return Hit("cluster", cluster.name, about, present.cluster_badge(cluster, now))


def _node(node: NodeView, now: datetime) -> Hit:
    return Hit("node", node.name, _about(node), present.node_badge(node, now))


def _about(node: NodeView) -> str:
    return " · ".join(part for part in (node.site, node.cluster, node.role, node.address) if part)


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in labels.items())
