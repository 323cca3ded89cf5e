"""One search over everything that has a name: sites, clusters, nodes, rollouts, releases, windows, people.

Finds only what the visitor may open: accounts for administrators, the rest within their sites. Reads only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from web import present, rollouts, updates
from web.access.grants import Level
from web.access.guard import need, who
from web.access.ports import AccountView
from web.backend import Backend
from web.calendar_port import SiteWindows
from web.calendar_rules import visible
from web.ports import ClusterView, EnrollmentView, NodeView, Queries, RolloutView
from web.texts import Texts
from web.updates_port import ReleaseView

MOST, ROLLOUTS = 100, 200

# What is said of a thing, to be searched, and how it is shown if it is found.
Found = Iterator[tuple[str, Callable[[], "Hit"]]]


@dataclass(frozen=True, slots=True)
class Hit:
    kind: str
    name: str
    about: str
    href: str
    badge: present.Badge | None = None


def make(backend: Backend, queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("search", __name__)
    texts = Texts()  # of nodes, of which there are many

    @blueprint.get("/search")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        asked = request.args.get("q", "").strip()[:200]
        hits = find(backend, queries, asked, clock(), texts) if asked else []
        return render_template("search.html", asked=asked, hits=hits[:MOST], more=len(hits) > MOST)

    return blueprint


def find(backend: Backend, queries: Queries, asked: str, now: datetime, texts: Texts) -> list[Hit]:
    """Every word has to occur in what is known of a thing; what is called so comes first."""
    words = asked.lower().split()
    found = [hit() for text, hit in _everything(backend, queries, now, texts) if _fits(text.lower(), words)]
    return sorted(
        found, key=lambda hit: (hit.name.lower() != asked.lower(), asked.lower() not in hit.name.lower())
    )


def _fits(text: str, words: list[str]) -> bool:
    return all(word in text for word in words)


def _everything(backend: Backend, queries: Queries, now: datetime, texts: Texts) -> Found:
    yield from _places(queries, now)
    nodes = queries.nodes()
    for node, text in zip(nodes, texts.of(nodes, _text), strict=True):
        yield text, partial(_node, node, now)
    yield from _changes(backend, queries)
    if backend.calendar is not None:
        for site in visible(backend.calendar.state(), queries).sites:
            for window in site.windows:
                yield f"window {window} {site.site} {site.timezone}", partial(_window, window, site)
    if who().may(Level.ADMIN):
        for account in backend.access.accounts():
            yield f"account {account.name} {_grants(account)}", partial(_account, account)


def _changes(backend: Backend, queries: Queries) -> Found:
    if backend.enrolling is not None:
        for asking in queries.enrollments(("pending",)):
            text = f"pending {asking.site} {asking.role} {asking.address} {asking.claimed} {asking.words}"
            yield f"{asking.id} {text}", partial(_pending, asking)
    if backend.rollouts is not None:
        for rollout in queries.rollouts(ROLLOUTS):
            text = f"rollout {rollouts.target(rollout)} {rollout.status} {rollout.actor} {rollout.reason}"
            yield f"{rollout.id} {text}", partial(_rollout, rollout)
    if backend.updates is not None:
        for release in backend.updates.releases():
            yield f"release {release.name} {release.kind} {release.version}", partial(_release, release)


def _places(queries: Queries, now: datetime) -> Found:
    for site in queries.sites():
        text = f"{site.name} {site.timezone} {_labels(site.labels)}"
        yield text, partial(_named, "site", "sites.one", site.name, site.timezone)
    for cluster in queries.clusters():
        text = f"{cluster.name} {cluster.site} {cluster.endpoint} {cluster.kubernetes} {cluster.problem}"
        yield text, partial(_cluster, cluster, now)


def _text(node: NodeView) -> str:
    text = f"{_about(node)} {node.talos} {node.profile} {node.problem} {node.host_key_words}"
    return f"{node.name} {text} {_labels(node.labels)}"


def _named(kind: str, endpoint: str, name: str, about: str, badge: present.Badge | None = None) -> Hit:
    return Hit(kind, name, about, url_for(endpoint, name=name), badge)


def _cluster(cluster: ClusterView, now: datetime) -> Hit:
    about = f"{cluster.site} · Kubernetes {cluster.kubernetes}"
    return _named("cluster", "clusters.one", cluster.name, about, present.cluster_badge(cluster, now))


def _node(node: NodeView, now: datetime) -> Hit:
    return _named("node", "nodes.page", node.name, _about(node), present.node_badge(node, now))


def _pending(row: EnrollmentView) -> Hit:
    href = url_for("pending.page", see=row.id, _anchor=f"waiting-{row.id}")
    badge = present.Badge("bad", "in conflict") if row.conflict else present.Badge("warn", "waits")
    return Hit("pending", row.id, f"{row.site} · {row.role} · {row.address}", href, badge)


def _rollout(rollout: RolloutView) -> Hit:
    about = " · ".join(part for part in (rollouts.target(rollout), rollout.actor, rollout.reason) if part)
    href = url_for("rollouts.one", rollout=rollout.id)
    return Hit("rollout", rollout.id, about, href, rollouts.badge(rollout))


def _release(release: ReleaseView) -> Hit:
    badge = updates.BADGES[release.state]
    return _named("release", "updates.one", release.name, updates.first_line(release.notes), badge)


def _window(window: str, site: SiteWindows) -> Hit:
    badge = present.Badge("good", "open") if site.open else present.Badge("idle", "closed")
    about = f"{site.site} · {site.timezone}" + (f" · next {site.next_local}" if site.next_local else "")
    return Hit("window", window, about, url_for("calendar.page", site=site.site), badge)


def _account(account: AccountView) -> Hit:
    badge = present.Badge("idle", "disabled") if account.disabled else None
    href = url_for("settings.page", _anchor=f"account-{account.name}")
    return Hit("account", account.name, _grants(account), href, badge)


def _grants(account: AccountView) -> str:
    return " ".join(map(str, account.grants))


def _about(node: NodeView) -> str:
    return " · ".join(part for part in (node.site, node.cluster, node.role, node.address) if part)


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in labels.items())
