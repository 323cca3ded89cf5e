"""Operations on releases, notifications and the licence. They only read: a rollout installs."""

from typing import Any

from pydantic import BaseModel

from web.access.grants import Level
from web.api.operations import Operations
from web.api.paging import Page, PageParams, by_name, in_order
from web.ports import Queries
from web.updates import release_named, visible
from web.updates_port import FeedView, MirrorView, ProposalView, ReleaseView, Updates
from web.upkeep_port import LicenseView, NotifierView, Upkeep


class UpdatesOut(BaseModel):
    feed: FeedView | None
    proposals: list[ProposalView]
    mirrors: list[MirrorView]


def add_updates(operations: Operations, updates: Updates, queries: Queries) -> None:
    """Adds those on releases."""

    @operations.add("GET", "/updates", level=Level.VIEWER, answer=UpdatesOut)
    def get_updates() -> Any:
        """Where releases come from, until when that is believed, and what is proposed in clusters."""
        proposals, mirrors = visible(updates, queries)
        return UpdatesOut(feed=updates.feed(), proposals=proposals, mirrors=mirrors)

    @operations.add("GET", "/releases", level=Level.VIEWER, answer=Page[ReleaseView], params=PageParams)
    def list_releases(params: PageParams) -> Any:
        """The releases of the channel that are known, the newest first."""
        items, following = in_order(updates.releases(), params, lambda each: each.name)
        return {"items": items, "next": following}

    @operations.add("GET", "/releases/<name>", level=Level.VIEWER, answer=ReleaseView)
    def get_release(name: str) -> Any:
        """One release with its notes and files."""
        return release_named(name, updates)


def add_upkeep(operations: Operations, upkeep: Upkeep) -> None:
    """Adds those on the installation itself."""
    page = Page[NotifierView]

    @operations.add("GET", "/notifiers", level=Level.ADMIN, whole=True, answer=page, params=PageParams)
    def list_notifiers(params: PageParams) -> Any:
        """Who is told of what, by name, and what is wrong with it. Holds no secret."""
        items, following = by_name(upkeep.notifiers(), params, lambda each: each.name)
        return {"items": items, "next": following}

    @operations.add("GET", "/license", level=Level.VIEWER, whole=True, answer=LicenseView)
    def get_license() -> Any:
        """What is allowed, until when, and how much of it is taken."""
        return upkeep.license()
