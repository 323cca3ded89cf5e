"""Container images as the OCI image specification 1.1 lays them out: what a manifest names. Reads no file.

Docker's own media types (schema 2) are understood too: registries and image builders still write them.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from controller.core.release.document import Artifact
from inventory.errors import OperatorError

MAX_MANIFEST = 4 * 1024 * 1024  # what registries take
_MOST_PARTS, _DEEPEST = 500, 3
_PREFIX, _WHAT = "oci/", "oci"  # of targets, and how a release says what they are
_INDEXES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
_MANIFESTS = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
# Of the distribution specification 1.1.
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_LONGEST_REPOSITORY = 255


@dataclass(frozen=True, slots=True)
class Part:
    """One blob or manifest of an image."""

    media_type: str
    sha256: str
    size: int

    @property
    def is_manifest(self) -> bool:
        return self.media_type in _INDEXES | _MANIFESTS


@dataclass(frozen=True, slots=True)
class Reference:
    repository: str  # without the registry's host: that is where it is pushed to
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """`registry.k8s.io/pause:3.10` or `pause:3.10`. Raises OperatorError."""
        path, colon, tag = text.rpartition(":")
        host, slash, rest = path.partition("/")
        is_host = _HOST.fullmatch(host) and (set(host) & {".", ":"} or host == "localhost")
        repository = rest if slash and is_host else path
        fine = len(repository) <= _LONGEST_REPOSITORY and _REPOSITORY.fullmatch(repository)
        if not (colon and fine and _TAG.fullmatch(tag)):
            raise OperatorError(f"{text!r:.300} is no image name", fix="write it as REPOSITORY:TAG")
        return cls(repository, tag)


def artifact(part: Part, name: Reference | None = None) -> Artifact:
    """How a release names a part: by its digest, so that releases share it. `name`: of the whole image."""
    return Artifact(f"{_PREFIX}{part.sha256}", "", f"{_WHAT} {name}" if name else _WHAT)


def images(artifacts: Iterable[Artifact]) -> tuple[tuple[Reference, str], ...]:
    """The images among them: the name and the digest of the part that stands for the whole."""
    mark = f"{_WHAT} "
    return tuple(
        (Reference.parse(each.what.removeprefix(mark)), each.target.removeprefix(_PREFIX))
        for each in artifacts
        if each.what.startswith(mark)
    )


def tops(index: bytes, where: str) -> tuple[tuple[Part, str], ...]:
    """The images of a layout's index.json, each with the name it has there (often none)."""
    body = _object(index, where)
    found = []
    for each in _list(body, "manifests", where):
        notes = each.get("annotations")
        notes = notes if isinstance(notes, dict) else {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name") or ""
        found.append((_part(each, where), str(name)))
    return tuple(found)


def parts(top: Part, read: Callable[[Part], bytes]) -> tuple[Part, ...]:
    """All of an image, each once, and each after what it names: the order in which a registry takes them."""
    found: dict[str, Part] = {}
    for part in _walk(top, read, 0):
        found.setdefault(part.sha256, part)
        if len(found) > _MOST_PARTS:
            raise _wrong(top.sha256, f"it has more than {_MOST_PARTS} parts")
    return tuple(found.values())


def _walk(part: Part, read: Callable[[Part], bytes], depth: int) -> Iterator[Part]:
    if depth > _DEEPEST:
        raise _wrong(part.sha256, "its indexes are nested too deeply")
    if part.is_manifest:
        body = _object(read(part), part.sha256)
        if part.media_type in _INDEXES:
            for each in _list(body, "manifests", part.sha256):
                yield from _walk(_part(each, part.sha256), read, depth + 1)
        else:
            yield _part(body.get("config"), part.sha256)
            for each in _list(body, "layers", part.sha256):
                yield _part(each, part.sha256)
    yield part


def media_type(manifest: bytes, where: str) -> str:
    """Of a manifest or an index. OCI's `mediaType` is optional; then what is in it tells."""
    body = _object(manifest, where)
    said = body.get("mediaType")
    if said in _INDEXES | _MANIFESTS:
        return str(said)
    if said is None and isinstance(body.get("manifests"), list):
        return "application/vnd.oci.image.index.v1+json"
    if said is None and isinstance(body.get("layers"), list):
        return "application/vnd.oci.image.manifest.v1+json"
    raise _wrong(where, "it is neither a manifest nor an index")


def _part(found: object, where: str) -> Part:
    if not isinstance(found, dict):
        raise _wrong(where, "a part is no object")
    digest, size, kind = found.get("digest"), found.get("size"), found.get("mediaType")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise _wrong(where, f"{digest!r:.80} is no SHA-256 digest")
    if type(size) is not int or size < 0 or not isinstance(kind, str):
        raise _wrong(where, f"{match[1]} has no size or no media type")
    return Part(kind, match[1], size)


def _object(data: bytes, where: str) -> dict[str, object]:
    if len(data) > MAX_MANIFEST:
        raise _wrong(where, f"longer than {MAX_MANIFEST} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _wrong(where, "it is not JSON") from error
    if not isinstance(body, dict):
        raise _wrong(where, "it is no JSON object")
    return body


def _list(body: dict[str, object], name: str, where: str) -> list[dict[str, object]]:
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _wrong(where, f"it has no list of {name}")
    return found


def _wrong(where: str, why: str) -> OperatorError:
    return OperatorError(f"this container image can't be used: {why}", where=where, fix="have it made again")
