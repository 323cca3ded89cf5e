"""Releases from a publisher: trusted once, then looked for and remembered. Fetches no large file.

TUF proves who signed what and that it is fresh. Two gaps of a TUF client are closed here: its metadata
folder may be wiped (so the store keeps a floor of its own), and the clock may be set back (so what was
recorded counts as now). See ADR 23.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from controller.app.feed_port import Feeds, Look, RoleState
from controller.app.licensing import safe_now
from controller.app.services import Services
from controller.core.release import document
from controller.core.release.document import CHANNELS, Release
from controller.store.updates import Feed, ReleaseRow, RoleFloor
from inventory.errors import OperatorError, RefusedError

EXPIRY = "release metadata: "  # under which the ends of the feed's parts are noted
_MOST_RELEASES = 500  # of one feed


@dataclass(frozen=True, slots=True)
class Known:
    """One release of the channel, as far as it is known without asking. `allowed`: not below the floor."""

    release: Release
    staged_at: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Checked:
    new: tuple[str, ...]
    known: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a look that passed every check brings. `floors`: the highest of each channel."""

    rows: tuple[ReleaseRow, ...]
    floors: Mapping[str, int]

    def releases(self, channel: str) -> tuple[Release, ...]:
        return tuple(document.parse(r.body.encode(), r.name) for r in self.rows if r.channel == channel)


def trust(
    services: Services, url: str, channel: str, root: bytes, *, actor: str
) -> tuple[int, tuple[str, ...]]:
    """Takes releases from `url` from now on; returns how many of which keys must sign for its root."""
    if channel not in CHANNELS:
        raise OperatorError(f"there is no channel {channel!r}", fix=f"name one of {', '.join(CHANNELS)}")
    threshold, keys = services.feeds.root_keys(root)
    before = services.store.feed()
    if before is not None and before.root != root.decode():
        services.feeds.forget()
    reason = f"trusted by its root: {threshold} of {', '.join(key[:16] for key in keys)}"
    services.store.set_feed(without_secret(url), channel, root.decode(), actor=actor, reason=reason)
    for what in services.store.expiries(""):
        if what.startswith(EXPIRY):
            services.store.forget_expiry("", what)
    return threshold, keys


def check(services: Services, *, url: str = "") -> Checked:
    """Looks at the feed (or at `url`: a bundle of the same publisher) and remembers what it offers."""
    feed = trusted(services)
    with services.feeds.look(without_secret(url) or feed.url, feed.root.encode()) as look:
        new = accept(services, look, judge(services, look))
    return Checked(tuple(new), known(services))


async def check_beside(services: Services) -> tuple[str, ...]:
    """As `check`, while other things go on: what waits for the network does so on a thread. The new ones."""
    feed = trusted(services)
    had = _had(services)
    with ExitStack() as stack:
        look, bodies = await asyncio.to_thread(_fetched, services.feeds, feed, had, stack)
        return tuple(accept(services, look, judge(services, look, bodies)))


def _fetched(
    feeds: Feeds, feed: Feed, had: Mapping[str, bytes], stack: ExitStack
) -> tuple[Look, dict[str, bytes]]:
    look = stack.enter_context(feeds.look(feed.url, feed.root.encode()))
    return look, {path: look.read(path, document.MAX_BYTES) for path in _missing(look, had)}


def known(services: Services, channel: str = "") -> tuple[Known, ...]:
    """The releases of a channel (default: the one that is followed), newest first. Asks nobody."""
    channel = channel or trusted(services).channel
    rows = services.store.releases(channel)
    parsed = [(document.parse(row.body.encode(), row.name), row.staged_at) for row in rows]
    allowed = document.current([release for release, _ in parsed], services.store.channel_floor(channel))
    found = [Known(release, staged, release in allowed) for release, staged in parsed]
    return tuple(sorted(found, key=lambda each: each.release.counter, reverse=True))


def one(services: Services, name: str, channel: str = "") -> Known:
    """Raises OperatorError if the channel has no such release."""
    everything = known(services, channel)
    found = next((each for each in everything if each.release.name == name), None)
    if found is None:
        names = ", ".join(each.release.name for each in everything) or "none at all: cto update check"
        raise OperatorError(f"there is no release {name!r} in this channel", fix=f"there is {names}")
    return found


def allowed(services: Services, name: str, channel: str = "") -> Release:
    """Raises RefusedError for one that its publisher withdrew."""
    found = one(services, name, channel)
    if not found.allowed:
        raise RefusedError(
            f"its publisher withdrew {name}: releases this old must not be installed any more",
            where=name,
            fix="take a newer one: cto update list",
        )
    return found.release


def judge(services: Services, look: Look, bodies: Mapping[str, bytes] | None = None) -> Offer:
    """All checks that come after TUF's; changes nothing. `bodies`: documents that were read already."""
    now, floors = safe_now(services), services.store.feed_floors()
    for role, state in look.roles.items():
        _fresh(role, state, now)
        _not_below(role, state, floors)
    return _offer(services, look, bodies or {})


def accept(services: Services, look: Look, offer: Offer) -> list[str]:
    """All or nothing: floors and documents, then the metadata itself. Returns the releases that are new."""
    floors = {role: RoleFloor(state.version, state.keys) for role, state in look.roles.items()}
    before = _current(services)
    new = services.store.accept_feed(floors, offer.rows, offer.floors)
    services.store.note_expiries("", {f"{EXPIRY}{role}": state.expires for role, state in look.roles.items()})
    look.accept()
    _still_ready(services, look, offer)
    _tell_withdrawn(services, before)
    return new


def _current(services: Services) -> dict[str, tuple[Known, ...]]:
    return {channel: known(services, channel) for channel in CHANNELS}


def _tell_withdrawn(services: Services, before: Mapping[str, tuple[Known, ...]]) -> None:
    """Of those that might be installed until now."""
    for channel, found in before.items():
        now = {each.release.name for each in known(services, channel) if each.allowed}
        for name in sorted({each.release.name for each in found if each.allowed} - now):
            what = f"{name} of {channel} was withdrawn by its publisher: it is installed nowhere any more"
            services.store.event("ReleaseWithdrawn", "controller", what)


def _still_ready(services: Services, look: Look, offer: Offer) -> None:
    """A publisher may give a file another content; then what lies ready is not the release any more."""
    for channel in CHANNELS:
        staged = {row.name for row in services.store.releases(channel) if row.staged_at}
        for release in offer.releases(channel):
            found = [look.targets.get(each.target) for each in release.artifacts]
            there = all(info and services.home.staged(info.sha256).is_file() for info in found)
            if release.name in staged and not there:
                services.store.forget_staged(channel, release.name)


def _fresh(role: str, state: RoleState, now: datetime) -> None:
    """Once more than the library does, by a time that can't be set back."""
    if state.expires <= now:
        raise RefusedError(
            f"the feed is stale: its {role} ended on {state.expires:%Y-%m-%d}, and it is {now:%Y-%m-%d} at"
            " least, whatever this computer's clock shows",
            where="feed",
            fix="set the clock, and ask the publisher for fresh metadata",
        )


def _not_below(role: str, state: RoleState, floors: Mapping[str, RoleFloor]) -> None:
    floor = floors.get(role)
    if floor is None or state.version >= floor.version:
        return
    if role != "root" and state.keys != floor.keys:
        return  # the publisher exchanged the keys: the way back from a version number driven too high
    raise RefusedError(
        f"the feed is older than what was accepted already: {role} {state.version}, {floor.version} was seen",
        where="feed",
        fix="use a newer bundle, or the publisher's own address; nothing was changed",
    )


def _named(look: Look) -> list[tuple[str, str]]:
    """(channel, path) of each release that the feed has."""
    named = [(document.channel_of(path), path) for path in sorted(look.targets)]
    named = [(channel, path) for channel, path in named if channel in CHANNELS]
    if len(named) > _MOST_RELEASES:
        raise RefusedError(
            f"the feed has more than {_MOST_RELEASES} releases", where="feed", fix="tell its publisher"
        )
    return named


def _had(services: Services) -> dict[str, bytes]:
    """The documents that are here already, by their SHA-256."""
    bodies = [row.body.encode() for channel in CHANNELS for row in services.store.releases(channel)]
    return {hashlib.sha256(body).hexdigest(): body for body in bodies}


def _missing(look: Look, had: Mapping[str, bytes]) -> list[str]:
    return [path for _, path in _named(look) if look.targets[path].sha256 not in had]


def _offer(services: Services, look: Look, bodies: Mapping[str, bytes]) -> Offer:
    had = _had(services)
    rows: list[ReleaseRow] = []
    floors: dict[str, int] = {}
    for channel, path in _named(look):
        body = had.get(look.targets[path].sha256) or bodies.get(path)
        body = body or look.read(path, document.MAX_BYTES)
        release = document.parse(body, path)
        if document.target_of(channel, release) != path:
            raise RefusedError(f"it calls itself {release.name}", where=path, fix="tell its publisher")
        floors[channel] = max(floors.get(channel, 0), release.floor)
        rows.append(ReleaseRow(channel, release.name, body.decode(), "", ""))
    return Offer(tuple(rows), floors)


def without_secret(url: str) -> str:
    """An address is kept in clear, shown and logged."""
    if "@" in urlsplit(url).netloc:
        raise OperatorError(
            "a name or password in an address would be kept and shown",
            where=urlsplit(url).hostname or "",
            fix="leave it out: a feed is signed and needs no secret",
        )
    return url


def trusted(services: Services) -> Feed:
    """Raises OperatorError while there is none."""
    feed = services.store.feed()
    if feed is None:
        raise OperatorError(
            "no publisher is trusted yet",
            fix="cto update trust root.json --url URL, with the publisher's files",
        )
    return feed
