"""Container images that lie ready go into a registry, from which nodes without a network pull them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from controller.app import updates
from controller.app.plain_files import whole
from controller.app.registry_port import File
from controller.app.services import Services
from controller.core.release import oci
from controller.core.release.document import Release
from inventory.errors import OperatorError, RefusedError


@dataclass(frozen=True, slots=True)
class Pushed:
    name: str
    sha256: str  # of its manifest or index: what a site may pin
    sent: int  # bytes


def push(services: Services, url: str, names: Sequence[str]) -> tuple[Pushed, ...]:
    """The images of these releases. Each part is held to its digest once more before it is sent."""
    releases = [updates.allowed(services, name) for name in names]
    made = []
    for release in releases:
        for reference, sha256 in oci.images(release.artifacts):
            sent = services.registries.push(url, reference, _files(services, release, sha256))
            made.append(Pushed(str(reference), sha256, sent))
    return tuple(made)


def _files(services: Services, release: Release, top: str) -> tuple[File, ...]:
    def read(part: oci.Part) -> bytes:
        return _bytes(services, release, part.sha256)

    data = _bytes(services, release, top)
    first = oci.Part(oci.media_type(data, top), top, len(data))
    files = [File(part, services.home.staged(part.sha256)) for part in oci.parts(first, read)]
    for file in files:
        if not whole(file.path, file.part.sha256, file.part.size):
            raise _not_ready(release, file.part.sha256)
    return tuple(files)


def _bytes(services: Services, release: Release, sha256: str) -> bytes:
    path = services.home.staged(sha256)
    if not path.is_file():
        raise _not_ready(release, sha256)
    if path.stat().st_size > oci.MAX_MANIFEST:
        raise OperatorError("this is too long for a manifest", where=sha256, fix="tell its publisher")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _not_ready(release, sha256)
    return data


def _not_ready(release: Release, sha256: str) -> RefusedError:
    return RefusedError(
        f"a part of its images does not lie ready, or is damaged: {sha256}",
        where=release.name,
        fix=f"cto update stage {release.name}, or cto bundle import again",
    )
