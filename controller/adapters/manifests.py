"""Manifest files of clusters (Cilium, Argo CD): read or fetched once, held to their SHA-256, looked through.

As with disk images, the first fetch of a place is pinned in the store, the site file's `sha256` has the last
word, and `mirror` stands for the network. What is in a manifest, and where it goes, is `roles`' matter.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from controller.adapters.download import fetch
from controller.adapters.images import local_path
from controller.app.images_lock import ACTOR, in_mirror
from controller.store import Store
from inventory.errors import OperatorError, RefusedError, TransportError
from inventory.fleet import Cluster
from roles.platform import InlineManifest, Source, sources
from roles.platform_files import MAX_BYTES, parse

_FIX = "check the network and the proxy, or fetch the file elsewhere and name it as `manifest`"


class ManifestFiles:
    """Manifests under one folder. Local files are read where they are."""

    def __init__(self, folder: Path, store: Store, *, mirror: Path | None = None) -> None:
        self._folder, self._store, self._mirror = folder, store, mirror
        self._parsed: dict[tuple[Source, str], InlineManifest] = {}

    async def prepare(self, clusters: Iterable[Cluster]) -> None:
        """Fetches what is not here yet, in threads, so that `of` only reads. Problems are left to `of`."""
        wanted = {source.url: source for cluster in clusters for source in sources(cluster)}
        await asyncio.gather(
            *(asyncio.to_thread(self._bring, source) for source in wanted.values()), return_exceptions=True
        )

    def of(self, cluster: Cluster) -> Mapping[str, InlineManifest]:
        """The manifests that this cluster's site file names, by part."""
        return {source.part: self._one(source) for source in sources(cluster)}

    def files(self, cluster: Cluster) -> Mapping[str, Path]:
        """URL → the file here that stands for it, of those that `of` reads."""
        return {source.url: self._bring(source) for source in sources(cluster)}

    def _one(self, source: Source) -> InlineManifest:
        file = self._bring(source)
        data = _read(file, source)
        digest = hashlib.sha256(data).hexdigest()
        key = (source, digest)
        if key not in self._parsed:
            try:
                pinned = self._held(source, digest)
                made = parse(_text(data, source), source)
            except OperatorError:
                if file.parent == self._folder:
                    file.unlink(missing_ok=True)  # ours: the next time, another one may come
                raise
            if digest != pinned:
                reason = "the site file says so" if source.sha256 else "first fetch"
                self._store.pin_image(source.url, digest, actor=ACTOR, reason=reason)
            self._parsed[key] = made
        return self._parsed[key]

    def _held(self, source: Source, digest: str) -> str:
        """What the file is pinned to, after it was held to the site file's hash, else to that pin."""
        pinned = self._store.image_pin(source.url)
        wanted = source.sha256 or pinned
        if wanted and digest != wanted:
            what = f"the manifest is not the one that was asked for: SHA-256 {digest}, wanted {wanted}"
            fix = f"check the file; if it is meant, write {source.part}.sha256 in the site file"
            raise RefusedError(what, where=f"{source.part}: {source.url}", fix=fix)
        return pinned

    def _bring(self, source: Source) -> Path:
        """Where the file is, after it was fetched if need be."""
        place = in_mirror(source.url, self._mirror) if self._mirror else source.url
        local = local_path(place)
        if local is not None:
            return local
        name = Path(urlsplit(place).path).name
        # The hash is part of the name: another `sha256` in the site file is another file.
        key = hashlib.sha256(f"{place} {source.sha256}".encode()).hexdigest()[:16]
        target = self._folder / f"{key}-{name}"
        if not target.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                fetch(place, target, source.sha256, lambda _done, _total: None, limit=MAX_BYTES, fix=_FIX)
            except TransportError as error:  # a plan tells it as a refusal, with its fix
                raise OperatorError(error.what, where=f"{source.part}: {place}", fix=_FIX) from error
        return target


def _read(file: Path, source: Source) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise OperatorError(
            f"the manifest can't be read: {error.strerror}",
            where=f"{source.part}: {file}",
            fix="put the file there, or correct its place in the site file",
        ) from error


def _text(data: bytes, source: Source) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        fix = "give rendered Kubernetes objects as YAML in UTF-8"
        raise OperatorError(
            "the manifest is no text", where=f"{source.part}: {source.url}", fix=fix
        ) from error
