"""The fleet as one person may see it: `Queries` that leave out the sites which their grants don't cover.

What is left is made once for all who hold the same grants, for as long as the moment that it is made of.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from flask import g, has_request_context

from inventory.errors import UnknownName
from web import fleet
from web.access.grants import Level, Principal, labels_of
from web.events_port import EventSearch, FoundEvents
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

T = TypeVar("T")


class OnController(Protocol):
    """What `Queries` on the controller itself can do besides, for people who may see a part of the fleet."""

    def events_among(
        self,
        subjects: Collection[str] | None,
        *,
        limit: int,
        after: int = 0,
        before: int = 0,
        newest: bool = False,
    ) -> Sequence[EventView]:
        """Of several subjects at once, of everything for None; the newest first if asked so."""
        ...

    def search_events(self, asked: EventSearch, subjects: Collection[str] | None) -> FoundEvents: ...
    def rollouts_within(self, sites: Collection[str], *, limit: int, before: str) -> Sequence[RolloutView]:
        """Of those that concern no other sites."""
        ...


class ScopedQueries:
    def __init__(self, queries: Queries, principal: Principal) -> None:
        self._queries, self._principal = queries, principal
        self._here = cast(OnController, queries)

    def engine(self) -> EngineView:
        return self._queries.engine()

    def sites(self) -> Sequence[SiteView]:
        return self._once("sites", lambda: tuple(filter(self._covered, self._queries.sites())))

    def clusters(self) -> Sequence[ClusterView]:
        names = self._site_names()
        return self._once("clusters", lambda: tuple(c for c in self._queries.clusters() if c.site in names))

    def nodes(self) -> Sequence[NodeView]:
        names = self._site_names()
        return self._once("nodes", lambda: tuple(n for n in self._queries.nodes() if n.site in names))

    def gathered(self, now: datetime) -> fleet.FleetPart:
        return self._once("fleet", lambda: fleet.build(cast(Queries, self), now))

    def node(self, name: str) -> NodeView:
        try:
            found = self._queries.node(name)
        except UnknownName:
            raise _unknown(name) from None
        if found.site not in self._site_names():
            raise _unknown(name)
        return found

    def runs(self, limit: int = 20, before: str = "") -> Sequence[RunView]:  # noqa: ARG002 - of none
        """None: a run's selection and summary tell of other sites."""
        return []

    def run(self, run_id: str) -> RunView:
        raise UnknownName(f"there is no run {run_id!r}", fix="runs are shown to those who may see every site")

    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]:
        """At most `limit` that they may see, however many others lie between."""
        return self._here.events_among(self._asked(subject), after=after, limit=limit)

    def recent_events(self, limit: int = 500, before: int = 0, subject: str = "") -> Sequence[EventView]:
        return self._here.events_among(self._asked(subject), before=before, limit=limit, newest=True)

    def events_among(
        self,
        subjects: Collection[str] | None,
        *,
        limit: int,
        after: int = 0,
        before: int = 0,
        newest: bool = False,
    ) -> Sequence[EventView]:
        return self._here.events_among(
            self._mine(subjects), limit=limit, after=after, before=before, newest=newest
        )

    def search_events(self, asked: EventSearch, subjects: Collection[str] | None) -> FoundEvents:
        return self._here.search_events(asked, self._mine(subjects))

    def last_event_id(self) -> int:
        return self._queries.last_event_id()

    def facts(self, node: str, limit: int = 2) -> Sequence[Mapping[str, Any]]:
        return self._queries.facts(self.node(node).name, limit)

    def rollouts(self, limit: int = 20, before: str = "") -> Sequence[RolloutView]:
        """Those that concern only sites that they may see: others tell of sites that they may not."""
        older = self.rollout(before).id if before else ""
        found = self._here.rollouts_within(self._site_names(), limit=limit, before=older)
        return [self._narrowed(each) for each in found]

    def rollout(self, rollout: str) -> RolloutView:
        if not self._inside(rollout, self._site_names()):
            raise UnknownName(f"there is no rollout {rollout!r}", fix="see the list of rollouts")
        return self._narrowed(self._queries.rollout(rollout))

    def rollout_clusters(self, rollout: str, cluster: str = "") -> Sequence[Mapping[str, Any]]:
        inside = self._inside(rollout, self._site_names())
        return self._queries.rollout_clusters(rollout, cluster) if inside else []

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

    def _mine(self, subjects: Collection[str] | None) -> set[str]:
        return self._subjects() if subjects is None else self._subjects().intersection(subjects)

    def _asked(self, subject: str) -> set[str]:
        return self._subjects().intersection([subject]) if subject else self._subjects()

    def _covered(self, site: SiteView) -> bool:
        return self._principal.may(Level.VIEWER, labels_of(site.name, site.labels))

    def _once(self, what: str, make: Callable[[], T]) -> T:
        remembered = getattr(self._queries, "remembered", None)
        return make() if remembered is None else remembered((what, self._principal.grants), make)

    def _site_names(self) -> set[str]:
        return self._once("site names", lambda: {site.name for site in self.sites()})

    def _subjects(self) -> set[str]:
        return self._once("subjects", self._all_subjects)

    def _all_subjects(self) -> set[str]:
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
        return cast(Callable[..., Any], getattr(self._seen_by(principal), name))

    def _seen_by(self, principal: Principal) -> Any:
        """All that one request reads is of one moment."""
        kept = g.get("seen")
        if kept is None or kept[0] is not principal:
            moment = getattr(self._queries, "moment", None)
            queries = self._queries if moment is None else moment()
            g.moment = queries if moment is not None else None
            kept = g.seen = principal, queries if principal.everywhere else ScopedQueries(queries, principal)
        return kept[1]


def read_at() -> datetime | None:
    """When the lists that this request has used were read; None if it has used none that are shared."""
    return cast(datetime | None, getattr(g.get("moment"), "read_at", None))


def of_request(queries: Queries) -> Queries:
    """For views: what they read is what their visitor may see."""
    return cast(Queries, _OfRequest(queries))


def _unknown(name: str) -> UnknownName:
    return UnknownName(f"there is no node {name!r}", fix="see the list of nodes")
