"""Reads a manifest file's text: Kubernetes objects that may be put into a machine configuration.

A configuration is no place for keys: a Secret with contents is refused. Fetches nothing, and does not judge
whether Kubernetes accepts the objects.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from inventory.errors import OperatorError
from roles.platform import InlineManifest, Source

MAX_BYTES = 4 * 1024 * 1024  # of each; the volume that delivers a configuration holds 16 MiB
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_FIX = "give rendered Kubernetes objects, as `helm template` or `kustomize build` print them"

# Kinds without a namespace that a platform's manifests hold; all others get the one that is meant.
_CLUSTER_WIDE = frozenset(
    (
        *("APIService", "CSIDriver", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"),
        *("IngressClass", "MutatingWebhookConfiguration", "Namespace", "PersistentVolume", "PriorityClass"),
        *("RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        "ValidatingWebhookConfiguration",
    )
)
_NAMESPACED_GROUPS = ("argoproj.io",)  # of other custom resources it can't be told


def parse(text: str, source: Source) -> InlineManifest:
    """The manifest with every object in its namespace; raises OperatorError for what can't be used."""
    if len(text.encode()) > MAX_BYTES:
        fix = "render fewer objects, or install the rest by Argo CD"
        raise _refused(source, f"the manifest has more than {MAX_BYTES // 1024**2} MiB", fix)
    try:
        documents = [item for item in yaml.load_all(text, Loader=_LOADER) if item is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _refused(source, f"the manifest is no YAML: {str(error)[:300]}", _FIX) from error
    if not documents:
        raise _refused(source, "the manifest holds no object", _FIX)
    bare = [_checked(item, source) for item in documents]
    contents = _with_namespace(text, bare, source.namespace) if any(bare) else text
    return InlineManifest(source.part, contents, tuple(dict.fromkeys(_images(documents))))


def _with_namespace(text: str, bare: Sequence[bool], namespace: str) -> str:
    """The documents, `namespace` added where one is `bare`. Scalars stay as they were written: read as values
    and written again, some would change (PyYAML reads YAML 1.1, Kubernetes does not quite).
    """
    nodes = [node for node in yaml.compose_all(text, Loader=_LOADER) if not _empty(node)]
    for node, add in zip(nodes, bare, strict=True):
        if add:
            metadata = next(value for key, value in node.value if key.value == "metadata")
            kept = [pair for pair in metadata.value if pair[0].value != "namespace"]
            metadata.value = [*kept, (_scalar("namespace"), _scalar(namespace))]
    return str(yaml.serialize_all(nodes, Dumper=_DUMPER, explicit_start=True, width=10**9))


def _empty(node: Any) -> bool:
    return node is None or node.tag == "tag:yaml.org,2002:null"


def _scalar(text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def _checked(item: Any, source: Source) -> bool:
    """Does this object lack its namespace?"""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) and value for value in (item.get("apiVersion"), item.get("kind"))
    ):
        raise _refused(source, "a document of the manifest is no Kubernetes object", _FIX)
    kind, name = item["kind"], metadata.get("name")
    if kind.endswith("List") or not isinstance(name, str) or not name:
        raise _refused(source, f"the manifest holds a {kind} without a name of its own", _FIX)
    if kind == "Secret" and (item.get("data") or item.get("stringData")):
        raise _refused(
            source,
            f"the manifest holds Secret {name} with contents; keys have no place in a configuration",
            "render without it (for Cilium: --set hubble.tls.auto.method=cronJob), and add it to the cluster",
        )
    group = item["apiVersion"].rpartition("/")[0]
    built_in = "." not in group or group.endswith(".k8s.io") or group in _NAMESPACED_GROUPS
    return built_in and kind not in _CLUSTER_WIDE and not metadata.get("namespace")


def _images(value: Any) -> Iterator[str]:
    """Every container's image, wherever a pod template stands."""
    if isinstance(value, list):
        for item in value:
            yield from _images(item)
    elif isinstance(value, dict):
        for key in ("initContainers", "containers"):
            for container in value.get(key) or () if isinstance(value.get(key), list) else ():
                if isinstance(container, dict) and isinstance(container.get("image"), str):
                    yield container["image"]
        for item in value.values():
            yield from _images(item)


def _refused(source: Source, what: str, fix: str) -> OperatorError:
    return OperatorError(what, where=f"{source.part}: {source.url}", fix=fix)
