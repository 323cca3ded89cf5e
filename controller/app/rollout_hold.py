"""Which nodes other runs leave alone: those of clusters where a rollout is at work. Asks the store only."""

from collections.abc import Iterable

from controller.app.services import Services
from inventory.errors import RefusedError


def held(services: Services, nodes: Iterable[str]) -> dict[str, RefusedError]:
    """Of these, the ones that a rollout has, with what to do."""
    busy = services.store.clusters_at_work()
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
