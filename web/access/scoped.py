"""The fleet as one person may see it: `Queries` that leave out the sites which their grants don't cover."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from flask import g, has_request_context

from inventory.errors import UnknownName
from web.access.grants import Level, Principal, labels_of
from web.ports import (
    ClusterView,
    EngineView,
    EnrollmentView,
    EnrollWindowView,
    EventView,
    NodeView,
    Queries,
    RefusalView,
    RolloutView,
    RunView,
    SiteView,
)

_PAGE = 500


class ScopedQueries:
    def __init__(self, queries: Queries, principal: Principal) -> None:
        self._queries, self._principal = queries, principal

    def engine(self) -> EngineView:
        return self._queries.engine()

    def sites(self) -> Sequence[SiteView]:
        return [
            site
            for site in self._queries.sites()
            if self._principal.may(Level.VIEWER, labels_of(site.name, site.labels))
        ]

    def clusters(self) -> Sequence[ClusterView]:
        names = self._site_names()
        return [cluster for cluster in self._queries.clusters() if cluster.site in names]

    def nodes(self) -> Sequence[NodeView]:
        names = self._site_names()
        return [node for node in self._queries.nodes() if node.site in names]

    def node(self, name: str) -> NodeView:
        try:
            found = self._queries.node(name)
        except UnknownName:
            raise _unknown(name) from None
        if found.site not in self._site_names():
            raise _unknown(name)
        return found

    def runs(self, limit: int = 20) -> Sequence[RunView]:  # noqa: ARG002 - of none it takes none
        """None: a run's selection and summary tell of other sites."""
        return []

    def run(self, run_id: str) -> RunView:
        raise UnknownName(f"there is no run {run_id!r}", fix="runs are shown to those who may see every site")

    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]:
        """At most `limit` that they may see, however many others lie between."""
        seen = self._subjects()
        found: list[EventView] = []
        while page := self._queries.events(after, _PAGE, subject):
            found += [event for event in page if event.subject in seen]
            after = page[-1].id
            if len(found) >= limit:
                break
        return found[:limit]

    def last_event_id(self) -> int:
        return self._queries.last_event_id()

    def facts(self, node: str, limit: int = 2) -> Sequence[Mapping[str, Any]]:
        return self._queries.facts(self.node(node).name, limit)

    def rollouts(self, limit: int = 20) -> Sequence[RolloutView]:
        """Those that concern only sites that they may see: others tell of sites that they may not."""
        names = self._site_names()
        found = self._queries.rollouts(limit)
        return [self._narrowed(each) for each in found if self._inside(each.id, names)]

    def rollout(self, rollout: str) -> RolloutView:
        if not self._inside(rollout, self._site_names()):
            raise UnknownName(f"there is no rollout {rollout!r}", fix="see the list of rollouts")
        return self._narrowed(self._queries.rollout(rollout))

    def rollout_clusters(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        inside = self._inside(rollout, self._site_names())
        return self._queries.rollout_clusters(rollout) if inside else []

    def rollout_sites(self, rollout: str) -> Sequence[str]:
        found, names = self._queries.rollout_sites(rollout), self._site_names()
        return found if set(found) <= names else []

    def enrollments(self, states: Sequence[str] = ()) -> Sequence[EnrollmentView]:
        names = self._site_names()
        return [each for each in self._queries.enrollments(states) if each.site in names]

    def enrollment_refusals(self) -> Sequence[RefusalView]:
        """Whose token it was is not always known."""
        return []

    def enrollment_window(self) -> EnrollWindowView | None:
        return self._queries.enrollment_window()

    def expiries(self) -> Mapping[str, str]:
        """What the controller needs is for those who look after all of it."""
        return {}

    def _inside(self, rollout: str, names: set[str]) -> bool:
        sites = self._queries.rollout_sites(rollout)
        return bool(sites) and names.issuperset(sites)

    def _narrowed(self, rollout: RolloutView) -> RolloutView:
        """Without the clusters elsewhere that were left out of it."""
        names = {cluster.name for cluster in self.clusters()}
        left_out: Mapping[str, str] = rollout.facts.get("left_out", {})
        kept = {name: why for name, why in left_out.items() if name in names}
        return replace(rollout, facts={**rollout.facts, "left_out": kept})

    def _site_names(self) -> set[str]:
        return {site.name for site in self.sites()}

    def _subjects(self) -> set[str]:
        return (
            {f"site/{name}" for name in self._site_names()}
            | {f"cluster/{cluster.name}" for cluster in self.clusters()}
            | {f"node/{node.name}" for node in self.nodes()}
            | {f"rollout/{rollout.id}" for rollout in self.rollouts()}
        )


class _OfRequest:
    """Stands for the queries of whoever asks just now."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def __getattr__(self, name: str) -> Callable[..., Any]:
        principal = getattr(g, "principal", None) if has_request_context() else None
        if principal is None:  # no view with a rule comes here without one
            raise UnknownName("nobody is logged in", fix="log in first")
        if principal.everywhere:
            return cast(Callable[..., Any], getattr(self._queries, name))
        return cast(Callable[..., Any], getattr(ScopedQueries(self._queries, principal), name))


def of_request(queries: Queries) -> Queries:
    """For views: what they read is what their visitor may see."""
    return cast(Queries, _OfRequest(queries))


def _unknown(name: str) -> UnknownName:
    return UnknownName(f"there is no node {name!r}", fix="see the list of nodes")
