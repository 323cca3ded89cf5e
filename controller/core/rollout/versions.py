"""The way from one version to another: adjacent minors, combinations that are supported, skew. Tables; pure.

Talos is tested between adjacent minors only, and Kubernetes moves one minor at a time. Every stop on the
way must be a pair that Talos supports. Sources: `compatibility/talos1NN` of the Talos machinery library,
and Kubernetes' version skew policy.
"""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from controller.core.rollout.model import Hop, HopKind, Target
from controller.core.rollout.stops import Origins, way
from inventory.errors import RefusedError
from inventory.versions import KUBERNETES_OF_TALOS, kubernetes_range, kubernetes_supported, minor

FIRST_LIFECYCLE = 13  # Talos minor from which on a node serves LifecycleService
KUBELET_BEHIND = 3  # minors that a kubelet may be older than the oldest API server
COMPONENT_BEHIND = 1  # controller manager and scheduler; API servers among each other


def path(
    talos: str,
    kubernetes: str,
    target: Target,
    *,
    talos_releases: Sequence[str] = (),
    kubernetes_releases: Sequence[str] = (),
    talos_from: Origins | None = None,
    kubernetes_from: Origins | None = None,
    schematic: str = "",
) -> tuple[Hop, ...]:
    """All hops of one cluster, each pair on the way supported. Empty = it is there already.

    The shortest way; where the order is free, Talos goes first.
    """
    stops = way("Talos", talos, target.talos or talos, talos_releases, talos_from or {})
    wanted = target.kubernetes or kubernetes
    others = way("Kubernetes", kubernetes, wanted, kubernetes_releases, kubernetes_from or {})
    pairs = _walk(stops, others)
    hops: list[Hop] = []
    for before, after in pairwise(pairs):
        hops += _hops(before, after, target.schematic)
    if not any(h.kind in (HopKind.TALOS, HopKind.TALOS_LEGACY) for h in hops) and target.schematic not in (
        "",
        schematic,
    ):
        hops.insert(0, Hop(_route(talos), talos, talos, target.schematic))
    return tuple(hops)


def _walk(talos: Sequence[str], kubernetes: Sequence[str]) -> list[tuple[str, str]]:
    """Breadth first over pairs of stops; only supported pairs are stood on."""
    for version in talos:
        if minor(version) not in KUBERNETES_OF_TALOS:
            raise RefusedError(f"Talos {version} is not known to this release", fix="update the controller")
    goal = (len(talos) - 1, len(kubernetes) - 1)
    came: dict[tuple[int, int], tuple[int, int] | None] = {(0, 0): None}
    queue = deque([(0, 0)])
    while queue:
        here = queue.popleft()
        if here == goal:
            break
        for there in ((here[0] + 1, here[1]), (here[0], here[1] + 1)):
            inside = there[0] < len(talos) and there[1] < len(kubernetes)
            if inside and there not in came and kubernetes_supported(talos[there[0]], kubernetes[there[1]]):
                came[there] = here
                queue.append(there)
    if goal not in came:
        raise RefusedError(
            f"no supported way to Talos {talos[-1]} with Kubernetes {kubernetes[-1]}: "
            f"Talos {talos[-1]} runs Kubernetes {kubernetes_range(talos[-1])}",
            fix="name both targets, so that each can be raised in its turn",
        )
    steps: list[tuple[int, int]] = []
    at: tuple[int, int] | None = goal
    while at is not None:
        steps.append(at)
        at = came[at]
    return [(talos[i], kubernetes[j]) for i, j in reversed(steps)]


def _route(source: str) -> HopKind:
    return HopKind.TALOS if minor(source) >= FIRST_LIFECYCLE else HopKind.TALOS_LEGACY


def _hops(before: tuple[str, str], after: tuple[str, str], schematic: str) -> list[Hop]:
    if before[0] != after[0]:
        return [Hop(_route(before[0]), before[0], after[0], schematic)]
    # All API servers first: no kubelet may be newer than the oldest of them.
    return [
        Hop(HopKind.CONTROL_PLANE, before[1], after[1]),
        Hop(HopKind.KUBELET, before[1], after[1]),
    ]


def skew_problem(
    apiservers: Sequence[str], *, components: Sequence[str] = (), kubelets: Sequence[str] = ()
) -> str:
    """What Kubernetes does not support about these versions running together; empty = nothing."""
    oldest, newest = min(map(minor, apiservers)), max(map(minor, apiservers))
    if newest - oldest > COMPONENT_BEHIND:
        return f"API servers 1.{oldest} and 1.{newest} are more than one minor apart"
    for version in components:
        if minor(version) > oldest or newest - minor(version) > COMPONENT_BEHIND:
            return f"a controller manager or scheduler {version} does not go with API server 1.{oldest}"
    for version in kubelets:
        if minor(version) > oldest:
            return f"kubelet {version} is newer than API server 1.{oldest}"
        if newest - minor(version) > KUBELET_BEHIND:
            return f"kubelet {version} is more than {KUBELET_BEHIND} minors behind API server 1.{newest}"
    return ""
