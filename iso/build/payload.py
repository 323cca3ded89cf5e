"""The payload: files that travel with an image for places without a network. Disk images and manifests.

Part of the initramfs like the rest, so the medium may be pulled and network boot works. Checks no hash.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inventory.errors import OperatorError
from iso.build import base
from iso.render import cpio

LIST = "payload/list"


@dataclass(frozen=True, slots=True)
class Carried:
    """`place` is the absolute path in the environment at which the file is wanted."""

    source: Path
    place: str


def write(target: Path, items: Iterable[Carried], *, epoch: int) -> Path:
    """One archive: the files by number, and a list of their places, which `init` moves them to one by one."""
    chosen = list(items)
    places = [_plain(item) for item in chosen]
    if len(set(places)) != len(places):
        raise OperatorError("two files want the same place in the image", where=", ".join(sorted(places)))
    entries = [cpio.Entry(LIST, "".join(f"{n} {place}\n" for n, place in enumerate(places)).encode())]
    for number, item in enumerate(chosen):
        size = item.source.stat().st_size
        if size > cpio.MAX_SIZE:
            fix = "leave it out and put it on a stick of its own"
            raise OperatorError("too large to travel in the image", where=str(item.source), fix=fix)
        entries.append(cpio.Entry(f"payload/{number}", chunks=base.chunks(item.source), size=size))
    base.write(target, cpio.archive(entries, mtime=epoch))
    return target


def _plain(item: Carried) -> str:
    """A path that a line of the list can hold."""
    place = item.place
    if not place.startswith("/") or ".." in Path(place).parts or not place.isprintable():
        raise OperatorError("not a place for a file in the image", where=place, fix="give its whole path")
    return place
