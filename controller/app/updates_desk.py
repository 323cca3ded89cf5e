"""The Updates page's `web.updates_port` over the use cases. Reads only; asks no feed and no cluster."""

import json
from collections.abc import Sequence

from controller.app import updates
from controller.app.services import Services
from controller.app.writing import Writing
from web.updates_port import FeedView, MirrorView, ProposalView, ReleaseView

_LONGEST = 300  # characters of one proposed value


class UpdatesDesk:
    """Reads on the thread that writes: it holds the store, and its answers are never older than an act."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def feed(self) -> FeedView | None:
        return self._writing.run(_feed)

    def releases(self) -> Sequence[ReleaseView]:
        return self._writing.run(_releases)

    def proposals(self) -> Sequence[ProposalView]:
        found = self._writing.run(lambda s: s.store.proposals())
        return [
            ProposalView(
                each.id,
                each.cluster,
                {name: _text(value) for name, value in each.body.items()},
                each.by,
                each.seen_at,
            )
            for each in found
        ]

    def mirrors(self) -> Sequence[MirrorView]:
        rows = self._writing.run(lambda s: s.store.mirrors())
        return [MirrorView(row.cluster, row.written_at, row.problem) for row in rows]


def _feed(services: Services) -> FeedView | None:
    feed = services.store.feed()
    if feed is None:
        return None
    ends = {
        what.removeprefix(updates.EXPIRY): until
        for what, until in services.store.expiries("").items()
        if what.startswith(updates.EXPIRY)
    }
    return FeedView(feed.url, feed.channel, feed.checked_at, ends, feed.every_hours, feed.problem)


def _releases(services: Services) -> Sequence[ReleaseView]:
    feed = services.store.feed()
    if feed is None:
        return []
    seen = {row.name: row.seen_at for row in services.store.releases(feed.channel)}
    return [_release(each, seen.get(each.release.name, "")) for each in updates.known(services)]


def _release(known: updates.Known, seen_at: str) -> ReleaseView:
    ready = "ready" if known.staged_at else "not-staged"
    release = known.release
    return ReleaseView(
        name=release.name,
        kind=release.kind,
        version=release.version,
        state=ready if known.allowed else "withdrawn",
        upgrades=release.upgrades,
        notes=release.notes,
        files=tuple(each.target for each in release.artifacts),
        counter=release.counter,
        seen_at=seen_at,
        staged_at=known.staged_at,
    )


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_LONGEST]
