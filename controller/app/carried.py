"""What an image carries for a site without a network: disk images and manifests, checked and named by URL.

Fetches what the cache does not have. Container images are not among it: see `unmet`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from controller.app.desired import stored_facts
from controller.app.plain_files import file_sha256
from controller.app.services import Services
from facts import hardware as profiles
from facts.machine_model import hardware
from inventory.errors import OperatorError
from inventory.fleet import Cluster, Fleet, Node
from roles import schematic

Arch = Literal["amd64", "arm64"]
# Of the environment: other file systems, or swept at the start.
_EMPTIED = ("/dev/", "/mnt/", "/proc/", "/run/", "/sys/", "/tmp/", "/var/run/", "/var/tmp/")  # noqa: S108
MIRROR = "/usr/lib/cto/images"  # in the environment; laid out as the URLs are


@dataclass(frozen=True, slots=True)
class Carried:
    """`place` is the absolute path in the environment at which the program there looks for `url`."""

    url: str
    sha256: str
    source: Path
    place: str


async def carried(
    services: Services,
    fleet: Fleet,
    nodes: Iterable[Node],
    *,
    arch: Arch,
    progress: Callable[[str, int, int], None] = lambda _url, _done, _total: None,
) -> tuple[Carried, ...]:
    """The disk image of each of `nodes`, and the manifests of their clusters; each file once."""
    chosen = tuple(nodes)
    found: dict[str, Carried] = {}
    for node in chosen:
        made = schematic.for_node(node, _profile(services, node))
        url = schematic.image_url(node.image, made.id, arch)
        if url not in found:

            def tell(done: int, total: int, url: str = url) -> None:
                progress(url, done, total)

            told = "" if node.image.url else made.document
            image = await services.images.ensure(url, node.image.sha256, progress=tell, schematic=told)
            found[url] = Carried(url, image.sha256, _source(url, Path(image.path)), place(url))
            _check(found[url])
    clusters = [fleet.clusters[name] for name in dict.fromkeys(node.cluster for node in chosen)]
    await services.manifests.prepare(clusters)
    for cluster in clusters:
        services.manifests.of(cluster)  # held to their hashes, or refused with the reason
        for url, file in services.manifests.files(cluster).items():
            found.setdefault(url, Carried(url, file_sha256(file), file, place(url)))
    return tuple(found.values())


def place(url: str) -> str:
    """Where `url` is looked for in the environment: below the mirror, or at the same path if it is a file."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme in ("http", "https"):
        return f"{MIRROR}/{path.lstrip('/')}"
    if not path.startswith("/") or ".." in Path(path).parts:
        raise OperatorError(
            "a file that travels with the image needs its whole path",
            where=url,
            fix="write it as file:///srv/metal-amd64.raw.zst in the site file",
        )
    if path.startswith(_EMPTIED):
        raise OperatorError(
            "a file that travels with the image can't be there: the machine empties that folder at its start",
            where=url,
            fix="move it, to /srv for example, and correct the site file",
        )
    return path


def unmet(clusters: Iterable[Cluster], nodes: Mapping[str, Node]) -> Iterator[str]:
    """What the installed machines will still ask the network for, in words for their owner."""
    for cluster in clusters:
        without = [name for name in cluster.nodes if not nodes[name].settings.get("registryMirrors")]
        if without:
            yield (
                f"{cluster.name}: container images (Kubernetes, etcd, CNI) are fetched after the restart by "
                f"{', '.join(without)}; settings.registryMirrors names a registry inside"
            )


def _profile(services: Services, node: Node) -> profiles.Profile | None:
    """As the plan will choose it: the site file's, else the one that fits what is known of the machine."""
    if node.hardware_profile:
        return next((item for item in profiles.load_profiles() if item.name == node.hardware_profile), None)
    known = stored_facts(services, node.name)
    return profiles.match(hardware(known)).profile if known else None


def _source(url: str, wire: Path) -> Path:
    """The file as its hash knows it; what was packed anew in the cache is another."""
    parts = urlsplit(url)
    return wire if parts.scheme in ("http", "https") else Path(unquote(parts.path))


def _check(item: Carried) -> None:
    if file_sha256(item.source) != item.sha256:
        raise OperatorError(
            "only images that are packed with zstd can travel",
            where=item.url,
            fix="name a .raw.zst in the site file; the Image Factory has one of every image",
        )
