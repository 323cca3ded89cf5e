"""A rollout's state as JSON and back. Values that are the default are left out; the form has a version."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from controller.core.rollout.evolve import replace
from controller.core.rollout.model import (
    ClusterJob,
    Hop,
    HopKind,
    Mode,
    NodeJob,
    Phase,
    Policy,
    RolloutState,
    Stage,
    Status,
    Target,
    Timing,
    Wave,
)
from inventory.errors import StoreError

VERSION = 1
_TUPLES = {"waves_percent", "wave_counts", "bake_seconds", "commands"}


def _sparse(value: Any) -> dict[str, Any]:
    """Fields that differ from their defaults; nested values are replaced by the caller."""
    found = {}
    for f in fields(value):
        content = getattr(value, f.name)
        if f.default is not MISSING and content == f.default:
            continue
        found[f.name] = content
    return found


def dump(state: RolloutState) -> str:
    """Compact JSON, equal for equal states."""
    body = _sparse(state)
    body["target"] = _sparse(state.target)
    body["policy"] = {**_sparse(state.policy), "timing": _sparse(state.policy.timing)}
    body["waves"] = [_sparse(wave) for wave in state.waves]
    body["clusters"] = [_dump_cluster(cluster) for cluster in state.clusters.values()]
    return json.dumps({"version": VERSION, "state": body}, separators=(",", ":"), allow_nan=False)


def dump_head(state: RolloutState) -> str:
    """All but the clusters: they are stored one by one, each when it changed."""
    return dump(replace(state, clusters={}))


def dump_cluster(cluster: ClusterJob) -> str:
    return json.dumps(_dump_cluster(cluster), separators=(",", ":"), allow_nan=False)


def load_parts(head: str, clusters: Iterable[str]) -> RolloutState:
    """The state of a head and its clusters, in their order. Refused as a whole, as by `load`."""
    return replace(load(head), clusters=_clusters(clusters))


def _clusters(texts: Iterable[str]) -> dict[str, ClusterJob]:
    try:
        found = [_cluster(json.loads(text)) for text in texts]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"a cluster's part of a rollout can't be read: {type(error).__name__}: {error}",
            fix="restore the store from a backup: cto store restore",
        ) from error
    return {cluster.name: cluster for cluster in found}


def _dump_cluster(cluster: ClusterJob) -> dict[str, Any]:
    return {
        **_sparse(cluster),
        "hops": [_sparse(hop) for hop in cluster.hops],
        "nodes": [_sparse(job) for job in cluster.nodes.values()],
    }


def load(text: str) -> RolloutState:
    """The state that `dump` wrote. Anything else is refused as a whole."""
    try:
        document = json.loads(text)
        if document["version"] != VERSION:
            raise StoreError(
                f"a rollout's state has version {document['version']}; this release reads {VERSION}",
                fix="use the release that wrote it, or a newer one",
            )
        return _state(document["state"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"a rollout's state can't be read: {type(error).__name__}: {error}",
            fix="restore the store from a backup: cto store restore",
        ) from error


def _state(body: Mapping[str, Any]) -> RolloutState:
    policy: dict[str, Any] = {
        name: tuple(v) if name in _TUPLES else v for name, v in body["policy"].items() if name != "timing"
    }
    rest: dict[str, Any] = {
        name: tuple(v) if name in _TUPLES else v
        for name, v in body.items()
        if name not in ("target", "policy", "waves", "clusters", "status")
    }
    clusters = [_cluster(one) for one in body["clusters"]]
    return RolloutState(
        target=Target(**body["target"]),
        policy=Policy(**policy, timing=Timing(**body["policy"]["timing"])),
        waves=tuple(Wave(**{**one, "clusters": tuple(one["clusters"])}) for one in body["waves"]),
        clusters={c.name: c for c in clusters},
        status=Status(body.get("status", Status.RUNNING)),
        **rest,
    )


def _cluster(body: Mapping[str, Any]) -> ClusterJob:
    nodes = [_node(one) for one in body["nodes"]]
    return ClusterJob(
        **{
            **body,
            "hops": tuple(Hop(**{**hop, "kind": HopKind(hop["kind"])}) for hop in body["hops"]),
            "nodes": {n.name: n for n in nodes},
            "phase": Phase(body.get("phase", Phase.PENDING)),
        }
    )


def _node(body: Mapping[str, Any]) -> NodeJob:
    ending = body.get("ending")
    return NodeJob(
        **{
            **body,
            "stage": Stage(body.get("stage", Stage.PLANNED)),
            "mode": Mode(body.get("mode", Mode.IDLE)),
            "ending": Stage(ending) if ending else None,
        }
    )
