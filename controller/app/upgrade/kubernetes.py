"""Another Kubernetes on one node, by its machine configuration: only image tags change, all else stays.

Takes what the node runs with, sets the versions of the components that the hop is about, and delivers that
without a reboot. Up to Talos 1.13 they stand in the main document, later in documents of their own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from controller.app.upgrade.reach import NotSent, Reach
from controller.app.upgrade.recorded import keep_changed
from controller.core.rollout.model import HopKind
from inventory.errors import CheckFailed, OperatorError, Unreachable
from roles.yaml_text import dump_all

_REGISTRY = "registry.k8s.io"
# Place in the main document, kind of the document of its own, image if none is named.
_PLANE = (
    (("cluster", "apiServer"), "KubeAPIServerConfig", f"{_REGISTRY}/kube-apiserver"),
    (("cluster", "controllerManager"), "KubeControllerManagerConfig", f"{_REGISTRY}/kube-controller-manager"),
    (("cluster", "scheduler"), "KubeSchedulerConfig", f"{_REGISTRY}/kube-scheduler"),
    (("cluster", "proxy"), "KubeProxyConfig", f"{_REGISTRY}/kube-proxy"),
)
_KUBELET = ((("machine", "kubelet"), "KubeletConfig", "ghcr.io/siderolabs/kubelet"),)
_PARTS = {HopKind.CONTROL_PLANE: _PLANE, HopKind.KUBELET: _KUBELET}


async def patch(reach: Reach, name: str, kind: HopKind, version: str) -> str:
    """Delivers it. Refused before anything is sent if it would take a reboot."""
    async with reach.acting(name) as node:
        try:
            text = await node.running_config()
            changed = with_version(text, kind, version)
            if changed == text:
                keep(reach, name, kind, version)
                return "it has that already"
            tried = await node.apply_configuration(changed.encode(), mode="AUTO", dry_run=True)
        except Unreachable as error:  # only read so far
            raise NotSent(error.what, where=name) from error
        if tried.mode == "REBOOT":
            raise CheckFailed("the node would reboot for it", where=name, fix="report this: it is our bug")
        await node.apply_configuration(changed.encode(), mode="NO_REBOOT")
    keep(reach, name, kind, version)
    return f"{kind} {version}"


def keep(reach: Reach, name: str, kind: HopKind, version: str) -> None:
    """What is recorded as delivered follows, so that the next plan does not find a difference."""
    keep_changed(reach, name, lambda text: with_version(text, kind, version))


async def delivered(reach: Reach, name: str, kind: HopKind, version: str) -> bool:
    """Whether the configuration that the node runs with names this version."""
    async with reach.reading(name) as node:
        text = await node.running_config()
    return set(_versions(_documents(text), kind)) == {version}


def with_version(text: str, kind: HopKind, version: str) -> str:
    """The same configuration with other images; the very same text if they are these already."""
    documents = _documents(text)
    if set(_versions(documents, kind)) == {version}:
        return text
    for holder, default in _holders(documents, kind):
        holder["image"] = f"{_name(str(holder.get('image') or default))}:v{version}"
    try:
        return dump_all(documents)
    except RecursionError:  # aliases that hold themselves
        raise _unfit() from None


def _versions(documents: list[dict[str, Any]], kind: HopKind) -> Iterator[str]:
    for holder, _ in _holders(documents, kind):
        image = str(holder.get("image") or "")
        yield image.partition("@")[0].rpartition(":")[2].removeprefix("v") if image else ""


def _holders(documents: list[dict[str, Any]], kind: HopKind) -> Iterator[tuple[dict[str, Any], str]]:
    """Each mapping that has an `image` of the hop, and the image's name if it has none."""
    main = next((one for one in documents if "kind" not in one), {})
    by_kind = {str(one["kind"]): one for one in documents if "kind" in one}
    apart = "KubeletConfig" in by_kind
    for (section, key), document, default in _PARTS[kind]:
        if apart:
            if document in by_kind:
                yield by_kind[document], default
            continue
        place = main.setdefault(section, {})
        if not isinstance(place.get(key), dict):
            place[key] = {}
        if key == "proxy" and place[key].get("disabled"):
            continue
        yield place[key], default


def _name(image: str) -> str:
    """Without tag and digest; a port in the registry's name stays."""
    image = image.partition("@")[0]
    head, slash, tail = image.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def _documents(text: str) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [dict(one) for one in yaml.load_all(text, Loader=loader) if isinstance(one, Mapping)]
    except (yaml.YAMLError, ValueError, RecursionError):
        # Not chained and without the parser's words: both could quote a secret.
        raise _unfit() from None


def _unfit() -> OperatorError:
    return OperatorError("its configuration is not YAML as Talos writes it", fix="look at the node")
