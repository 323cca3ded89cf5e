"""A rollout's state as the plain document that `cto rollout status` and pages show. Decides nothing."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from controller.core.rollout.model import RolloutState
from controller.core.rollout.status import summary

_MOST = 50  # of each list, so that a large fleet's document stays small


def document(state: RolloutState) -> dict[str, Any]:
    """JSON only. Lists are cut at fifty; the counts are whole."""
    found = summary(state)
    return {
        "target": target(state),
        "status": found.status,
        "why": found.why,
        "by": state.by,
        "wave": state.wave + 1,
        "waves": [
            {
                "number": wave.number,
                "state": wave.state,
                "clusters": wave.clusters,
                "succeeded": wave.succeeded,
                "failed": wave.failed,
                "cancelled": wave.cancelled,
                "bake_seconds_left": round(wave.bake_left),
                "approved_by": state.waves[wave.number - 1].approved_by,
                "approval_counts_in": round(max(0.0, state.waves[wave.number - 1].holds_from - state.clock)),
            }
            for wave in found.waves
        ],
        "clusters": len(state.clusters),
        "phases": dict(Counter(str(cluster.phase) for cluster in state.clusters.values())),
        "nodes": found.nodes,
        "nodes_done": found.nodes_done,
        "stages": dict(Counter(str(job.stage) for c in state.clusters.values() for job in c.nodes.values())),
        "waits": [{"subject": subject, "because": why} for subject, why in found.waits[:_MOST]],
        "failed": [
            {"cluster": c.name, "outcome": c.outcome, "reason": c.reason}
            for c in state.clusters.values()
            if c.outcome
        ][:_MOST],
        "hands": [{"node": node, "do": text} for node, text in found.hands[:_MOST]],
        "seconds_left": round(found.seconds_left),
    }


def target(state: RolloutState) -> Mapping[str, str]:
    """Only what is asked for."""
    wanted = {
        "talos": state.target.talos,
        "kubernetes": state.target.kubernetes,
        "schematic": state.target.schematic,
    }
    return {name: value for name, value in wanted.items() if value}
