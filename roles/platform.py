"""What a control plane carries for Kubernetes to begin with: Cilium, Argo CD. Reads no file and writes no
configuration.

Talos creates the objects of an inline manifest that are missing; it neither changes nor deletes any. So a
manifest says how a cluster begins. What is there is upgraded by its own tools.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inventory.errors import OperatorError
from inventory.fleet import Cluster
from roles import cilium_job
from roles.yaml_text import dump

ARGOCD = "argocd"  # its namespace, which its own manifests name in role bindings
_ARGOCD_RELEASE = "https://raw.githubusercontent.com/argoproj/argo-cd/v{version}/manifests/install.yaml"


@dataclass(frozen=True, slots=True)
class InlineManifest:
    """`contents` is YAML, one or more documents; `images` are those that its pods need."""

    name: str
    contents: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest file that a cluster needs. `namespace`: for the objects that name none."""

    part: str  # cilium, argocd
    url: str  # https://, file:// or a path
    sha256: str
    namespace: str


def own_cni(cluster: Cluster) -> bool:
    """Must Talos leave the pod network to somebody else?"""
    return cluster.settings.get("cni") in ("none", "cilium")


def kube_proxy(cluster: Cluster) -> bool:
    """Should kube-proxy run? Cilium does its work unless the file wants both."""
    said = cluster.settings.get("kubeProxy")
    return cluster.settings.get("cni") != "cilium" if said is None else bool(said)


def sources(cluster: Cluster) -> tuple[Source, ...]:
    """The files to read before this cluster's control planes can be rendered."""
    found: list[Source] = []
    cilium = cluster.settings.get("cilium") or {}
    if cluster.settings.get("cni") == "cilium" and cilium.get("manifest"):
        found.append(Source("cilium", cilium["manifest"], cilium.get("sha256", ""), "kube-system"))
    argocd = cluster.settings.get("argocd") or {}
    if argocd:
        url = argocd.get("manifest") or _ARGOCD_RELEASE.format(version=argocd["version"])
        found.append(Source("argocd", url, argocd.get("sha256", ""), ARGOCD))
    return tuple(found)


def manifests(
    cluster: Cluster, files: Mapping[str, InlineManifest], *, proxy: Mapping[str, str]
) -> tuple[InlineManifest, ...]:
    """In the order in which they are wanted. `files` holds what `sources` asked for, by part.

    `proxy` are environment variables, for what a job fetches from outside.
    """
    return tuple(_manifests(cluster, files, proxy))


def _manifests(
    cluster: Cluster, files: Mapping[str, InlineManifest], proxy: Mapping[str, str]
) -> Iterator[InlineManifest]:
    missing = [source for source in sources(cluster) if source.part not in files]
    if missing:
        raise OperatorError(
            f"the manifest of {missing[0].part} was not read",
            where=f"cluster {cluster.name}: {missing[0].url}",
            fix="put the file there, or correct its place in the site file",
        )
    if "cilium" in files:
        yield files["cilium"]
    elif cluster.settings.get("cni") == "cilium":
        options = cluster.settings.get("cilium") or {}
        image = options.get("installer") or cilium_job.IMAGE
        objects = cilium_job.objects(
            options["version"],
            image,
            replace_kube_proxy=not kube_proxy(cluster),
            values=options.get("values") or {},
            proxy=proxy,
        )
        images = (image, *cilium_job.images(options["version"]))
        yield InlineManifest("cilium", _text(objects), images)
    if "argocd" in files:
        yield InlineManifest("argocd-namespace", _text([_namespace(ARGOCD)]))
        yield files["argocd"]


def _namespace(name: str) -> dict[str, Any]:
    """Its pods get no more rights than usual; those that would not do with `restricted` are reported."""
    labels = {
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _text(objects: list[dict[str, Any]]) -> str:
    return "---\n".join(dump(item) for item in objects)
