"""A bundle: a release feed's metadata with chosen files, as a folder that is carried to where no network is.

It is laid out as a feed is, so the same signatures vouch for it and nothing else has to be trusted. It is no
archive: nothing is ever unpacked. What a bundle may hold is judged by `bundle_members`.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from controller.app import bundle_members, staging, updates
from controller.app.feed_port import RoleState, TargetInfo
from controller.app.plain_files import whole
from controller.app.services import Services
from controller.app.staging import Progress
from controller.core.release import document
from controller.core.release.document import Release
from inventory.errors import OperatorError, RefusedError


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a bundle for this controller's channel. `first`: the part that ends first, at `until`."""

    releases: tuple[str, ...]  # with all their files
    others: tuple[str, ...]  # described only
    files: int
    bytes: int
    first: str
    until: datetime


def create(
    services: Services, out: Path, names: Sequence[str], progress: Progress, *, url: str = ""
) -> Contents:
    """Asks the feed, and writes its metadata, every release's description and the files of `names`. Under
    its name it is whole; what is under way is `OUT`.part, which a later call goes on with.
    """
    if out.exists():
        raise OperatorError("there is such a folder already", where=str(out), fix="name a new one")
    feed = updates.trusted(services)
    source = updates.without_secret(url) or feed.url
    part = out.with_name(f"{out.name}.part")
    with services.feeds.look(source, feed.root.encode()) as look:
        offer = updates.judge(services, look)
        wanted = [_named(offer.releases(feed.channel), name, feed.channel) for name in names]
        files = {i.path: i for r in wanted for i in staging.of_release(r, look.targets, source)}
        described = [info for path, info in look.targets.items() if document.channel_of(path)]
        bundle_members.countable(len(files) + len(described))
        shutil.rmtree(part / "metadata", ignore_errors=True)  # it may be another version's
        look.save(part / "metadata")
        updates.accept(services, look, offer)
        roles = look.roles
    everything = [*described, *files.values()]
    _only(part, everything)
    missing = [info for info in everything if not whole(_path(part, info), info.sha256, info.length)]
    staging.room(part, sum(info.length for info in missing))
    for info in missing:
        _bring(services, source, info, _path(part, info), progress)
    part.rename(out)
    others = [each.name for each in offer.releases(feed.channel) if each not in wanted]
    return _contents([each.name for each in wanted], others, everything, roles)


def verify(services: Services, folder: Path) -> Contents:
    """Every signature, date, name and byte of a bundle. Changes nothing."""
    feed = updates.trusted(services)
    members = bundle_members.walk(folder)
    with services.feeds.look(str(folder), feed.root.encode()) as look:
        offer = updates.judge(services, look)
        present = bundle_members.expected(folder, members, look.targets)
        for info in present:
            bundle_members.hashed(folder, info)
        whole_ones, others = _split(offer.releases(feed.channel), present)
        return _contents([r.name for r in whole_ones], [r.name for r in others], present, look.roles)


def bring_in(services: Services, folder: Path, progress: Progress, *, actor: str) -> Contents:
    """Verifies a bundle while its files are copied; they lie ready as if they had been staged. Goes on where
    it was broken off. If anything is refused, nothing of it stays.
    """
    feed = updates.trusted(services)
    members = bundle_members.walk(folder)
    with services.feeds.look(str(folder), feed.root.encode()) as look:
        offer = updates.judge(services, look)
        present = bundle_members.expected(folder, members, look.targets)
        whole_ones, others = _split(offer.releases(feed.channel), present)
        current = document.current(offer.releases(feed.channel), services.store.channel_floor(feed.channel))
        wanted = [each for each in whole_ones if each in current]
        files = {i.sha256: i for r in wanted for i in staging.of_release(r, look.targets, str(folder))}
        _copied(services, folder, files.values(), progress)
        updates.accept(services, look, offer)
        for release in wanted:
            staging.note(services, release, feed.channel, look.targets, actor=actor)
        withdrawn = [each for each in whole_ones if each not in current]
        names = [each.name for each in (*others, *withdrawn)]
        return _contents([each.name for each in wanted], names, present, look.roles)


def _copied(services: Services, folder: Path, files: Collection[TargetInfo], progress: Progress) -> None:
    new = [path for info in files if not (path := services.home.staged(info.sha256)).exists()]
    try:
        staging.fetch(services, str(folder), files, progress)
    except RefusedError:
        for path in new:
            path.unlink(missing_ok=True)
        raise


def _named(releases: Sequence[Release], name: str, channel: str) -> Release:
    found = next((each for each in releases if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in releases) or "none at all"
        raise OperatorError(f"there is no release {name!r} in channel {channel}", fix=f"there is {names}")
    return found


def _split(releases: Sequence[Release], present: Sequence[TargetInfo]) -> tuple[list[Release], list[Release]]:
    """Those with all their files there, and those that are described only."""
    there = {info.path for info in present}
    full = [each for each in releases if each.artifacts and {a.target for a in each.artifacts} <= there]
    return full, [each for each in releases if each not in full]


def _contents(
    names: Iterable[str], others: Iterable[str], files: Sequence[TargetInfo], roles: Mapping[str, RoleState]
) -> Contents:
    until, first = min((state.expires, role) for role, state in roles.items())
    size = sum(info.length for info in files)
    return Contents(tuple(names), tuple(others), len(files), size, first, until)


def _path(folder: Path, info: TargetInfo) -> Path:
    """Safe: the metadata that names it was verified, and its names are checked by `bundle_members`."""
    return folder / "targets" / bundle_members.safe(info.stored_as)


def _bring(services: Services, source: str, info: TargetInfo, to: Path, progress: Progress) -> None:
    had = services.home.staged(info.sha256)
    if whole(had, info.sha256, info.length):
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(had, to)
    else:
        services.feeds.download(source, info, to, partial(progress, info.path))


def _only(part: Path, files: Iterable[TargetInfo]) -> None:
    """Takes away what an earlier call brought for another version of the feed."""
    wanted = {_path(part, info) for info in files}
    for path in (part / "targets").rglob("*"):
        final = path.with_name(path.name.removesuffix(".part").removesuffix(".new"))
        if path.is_file() and final not in wanted:
            path.unlink()
