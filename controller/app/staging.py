"""Puts the files of a release ready before any window opens: each held to the hash that its publisher signed.

Files are addressed by content, so no name from a feed or bundle ever becomes a path. Installs nothing.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from controller.app import updates
from controller.app.feed_port import TargetInfo
from controller.app.plain_files import whole
from controller.app.services import Services
from controller.core.release.document import Release
from inventory.errors import OperatorError, RefusedError

Progress = Callable[[str, int, int], None]  # file, bytes done, bytes in all
_KEEP_FREE = 10  # percent of what is free stays free


def stage(
    services: Services, name: str, progress: Progress, *, actor: str, url: str = "", channel: str = ""
) -> tuple[Path, ...]:
    """Fetches all files of a release, and goes on where it was broken off. An image is found afterwards by
    the URL that site files name.
    """
    feed = updates.trusted(services)
    source = updates.without_secret(url) or feed.url
    with services.feeds.look(source, feed.root.encode()) as look:
        updates.accept(services, look, updates.judge(services, look))
        targets = look.targets
    channel = channel or feed.channel
    release = updates.allowed(services, name, channel)
    files = of_release(release, targets, source)
    fetch(services, source, files, progress)
    note(services, release, channel, targets, actor=actor)
    return tuple(services.home.staged(info.sha256) for info in files)


def of_release(release: Release, targets: Mapping[str, TargetInfo], source: str) -> tuple[TargetInfo, ...]:
    missing = [each.target for each in release.artifacts if each.target not in targets]
    if missing:
        what = f"{missing[0]} belongs to the release and is not in the feed"
        raise RefusedError(what, where=source, fix="tell its publisher")
    return tuple(targets[each.target] for each in release.artifacts)


def fetch(services: Services, source: str, files: Iterable[TargetInfo], progress: Progress) -> None:
    """Those that do not lie ready yet."""
    places = {info: services.home.staged(info.sha256) for info in {i.sha256: i for i in files}.values()}
    missing = [info for info, place in places.items() if not whole(place, info.sha256, info.length)]
    room(services.home.updates, sum(info.length for info in missing))
    for info in missing:
        services.feeds.download(source, info, places[info], partial(progress, info.path))


def note(
    services: Services, release: Release, channel: str, targets: Mapping[str, TargetInfo], *, actor: str
) -> None:
    for each in release.artifacts:
        if each.url:
            services.store.pin_image(
                each.url, targets[each.target].sha256, actor=actor, reason=f"release {release.name}"
            )
    digests = [targets[each.target].sha256 for each in release.artifacts]
    services.store.note_staged(channel, release.name, actor=actor, sha256=digests)


def room(folder: Path, wanted: int) -> None:
    """Raises OperatorError if the disk would be nearly full with `wanted` more bytes on it."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if wanted > free * (100 - _KEEP_FREE) // 100:
        raise OperatorError(
            f"{wanted} bytes are to come, and {free} are free; a tenth of that is left alone",
            where=str(folder),
            fix="free some disk space, then run the command again: what came already is kept",
        )
