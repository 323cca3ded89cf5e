"""Which nodes other runs leave alone: those of clusters where a rollout is at work. Asks the store only."""

import json
from collections.abc import Iterable

from controller.app.services import Services
from inventory.errors import RefusedError

_AT_WORK = ("checking", "running")


def clusters_at_work(services: Services) -> dict[str, str]:
    """Cluster → the rollout that changes its nodes now."""
    store = services.store
    return {
        cluster: row.id
        for row in store.open_rollouts()
        for cluster, body in store.rollout_bodies(row.id).items()
        if json.loads(body).get("phase") in _AT_WORK
    }


def held(services: Services, nodes: Iterable[str]) -> dict[str, RefusedError]:
    """Of these, the ones that a rollout has, with what to do."""
    busy = clusters_at_work(services)
    if not busy:
        return {}
    of = {row.name: row.cluster for row in services.store.nodes()}
    return {
        name: RefusedError(
            f"rollout {busy[of[name]]} is at work in its cluster",
            where=name,
            fix="run it again when that is done: cto rollout status",
        )
        for name in nodes
        if of.get(name, "") in busy
    }
