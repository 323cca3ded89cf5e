"""Holds each image URL to the file of its first fetch; takes what a release put ready, or a folder if named.

`image.sha256` of the site file has the last word; without it, another file under a known URL is refused. The
hashing itself, and the fetching, are the cache's.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from controller.app.ports import CachedImage, Images
from controller.store import Store
from inventory.errors import OperatorError, RefusedError

ACTOR = "images"


class LockedImages:
    """`Images` over another. `mirror`: a folder laid out as the factory's URLs are, for no network."""

    def __init__(self, inner: Images, store: Store, *, mirror: Path | None = None) -> None:
        self._inner, self._store, self._mirror = inner, store, mirror

    def _source(self, url: str, sha256: str) -> str:
        staged = self._store.home.staged(sha256) if sha256 else None
        if staged is not None and staged.is_file():
            return str(staged)
        return in_mirror(url, self._mirror) if self._mirror else url

    async def ensure(
        self, url: str, sha256: str, *, progress: Callable[[int, int], None], schematic: str = ""
    ) -> CachedImage:
        pinned = self._store.image_pin(url)
        source = self._source(url, sha256 or pinned)
        try:
            image = await self._inner.ensure(source, sha256 or pinned, progress=progress, schematic=schematic)
        except OperatorError as error:
            if "SHA-256" in error.what and source == str(self._store.home.staged(sha256 or pinned)):
                raise RefusedError(
                    "the file that a release put ready is damaged",
                    where=source,
                    fix="put it ready again: cto update stage RELEASE, or cto bundle import BUNDLE",
                ) from error
            if sha256 or not pinned or "SHA-256" not in error.what:
                raise
            raise RefusedError(
                f"{error.what}: the file at this URL is not the one that it was at first",
                where=url,
                fix="check the mirror; if the new file is meant, write its image.sha256 in the site file",
            ) from error
        if image.sha256 != pinned:
            reason = "the site file says so" if sha256 else "first fetch"
            self._store.pin_image(url, image.sha256, actor=ACTOR, reason=reason)
        return image

    def chunks(self, image: CachedImage) -> AsyncIterator[bytes]:
        return self._inner.chunks(image)


def in_mirror(url: str, mirror: Path) -> str:
    """The file that stands for `url` in `mirror`: the URL's path below it. What is a file already stays."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url
    path = Path(unquote(parts.path).lstrip("/"))
    if ".." in path.parts:
        raise OperatorError(
            "the image URL leads out of the folder", where=url, fix="correct it in the site file"
        )
    file = mirror / path
    if not file.is_file():
        raise OperatorError(
            "the folder of images has no such file, and nothing is fetched while it is set",
            where=str(file),
            fix="put the file there, or unset CTO_IMAGES to fetch it from the network",
        )
    return str(file)
