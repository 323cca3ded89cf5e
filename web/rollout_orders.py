"""Orders to a rollout as pages and API take them: which there are, what each does, whom it is allowed.

The engine decides (`controller.core.rollout.verbs`). Here is only what somebody reads before they confirm.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.errors import OperatorError, RefusedError
from inventory.wording import count
from web.access.grants import Level
from web.access.ports import NotAllowed
from web.access.sites import may_at
from web.ports import Queries, RolloutView

VERBS = ("pause", "resume", "abort", "cancel", "approve", "withdraw")
_NOT_BEGUN = frozenset({"planned", "staged"})
_ENDED = frozenset({"committed", "rolled-back", "failed", "needs-hands", "cancelled"})
_NO_WAVE = -1

Cluster = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """`wave` from 1, 0 where none is meant. `does`: what will happen, a sentence each."""

    verb: str
    title: str
    does: Sequence[str]
    cluster: str = ""
    wave: int = 0
    grave: bool = False  # can't be taken back

    def command(self, rollout: str) -> str:
        more = (
            f" --cluster {shlex.quote(self.cluster)}"
            if self.cluster
            else f" --wave {self.wave}"
            if self.wave
            else ""
        )
        return f'cto rollout {self.verb} {shlex.quote(rollout)}{more} --reason "…"'


def order_of(
    verb: str, rollout: RolloutView, clusters: Sequence[Cluster], *, cluster: str = "", wave: int = 0
) -> Order:
    """Raises OperatorError or RefusedError for what can't be meant."""
    if verb == "pause":
        return Order(verb, "Pause", _pausing(clusters))
    if verb == "resume":
        return Order(verb, "Resume", ["Windows, freezes and health are asked again; then it goes on."])
    if verb == "abort":
        return Order(verb, "Abort", _aborting(clusters), grave=True)
    if verb == "cancel":
        return Order(
            verb, f"Leave out {cluster}", _cancelling(cluster, clusters), cluster=cluster, grave=True
        )
    if verb == "approve":
        number = wave or waiting_wave(rollout)
        return Order(verb, f"Approve wave {number}", _approving(number, rollout, clusters), wave=number)
    if verb == "withdraw":
        number = wave or _approved_wave(rollout)
        return Order(verb, f"Withdraw the approval of wave {number}", _withdrawing(number), wave=number)
    raise OperatorError(f"{verb[:20]!r} is no order", fix=f"one of {', '.join(VERBS)}")


def waiting_wave(rollout: RolloutView) -> int:
    """The wave that waits for approval, from 1."""
    for wave in rollout.summary.get("waves", ()):
        if wave["state"] == "approval":
            return int(wave["number"])
    raise RefusedError("no wave of this rollout waits for approval", fix="name the one that is meant")


def _approved_wave(rollout: RolloutView) -> int:
    """The wave that is approved and not begun, from 1."""
    for wave in rollout.summary.get("waves", ()):
        if wave["state"] in ("approval", "waiting") and wave.get("approved_by"):
            return int(wave["number"])
    raise RefusedError("no wave of this rollout is approved and not begun", fix="name the one that is meant")


def offered(rollout: RolloutView) -> list[str]:
    """Verbs that would change something now."""
    if rollout.over:
        return []
    found = {"running": ["pause"], "paused": ["resume"]}.get(rollout.status, [])
    if any(wave["state"] == "approval" for wave in rollout.summary.get("waves", ())):
        found = [*found, "approve"]
    if any(w["state"] == "approval" and w.get("approved_by") for w in rollout.summary.get("waves", ())):
        found = [*found, "withdraw"]
    return found if rollout.status == "aborted" else [*found, "abort"]


def must_order(rollout: RolloutView, queries: Queries) -> None:
    """Raises unless they may act at every site that it concerns."""
    for site in queries.rollout_sites(rollout.id) or ("",):
        may_at(Level.OPERATOR, site, queries)


def may_order(rollout: RolloutView, queries: Queries) -> bool:
    try:
        must_order(rollout, queries)
    except (NotAllowed, OperatorError):
        return False
    return True


def checked_reason(reason: str) -> str:
    if len(reason) < 3:
        raise OperatorError("say why: it is kept in the audit log", fix="a few words are enough")
    return reason


def _stages(clusters: Sequence[Cluster]) -> list[str]:
    return [node["stage"] for cluster in clusters for node in cluster["nodes"]]


def _under_way(clusters: Sequence[Cluster]) -> int:
    return sum(stage not in _NOT_BEGUN and stage not in _ENDED for stage in _stages(clusters))


def _pausing(clusters: Sequence[Cluster]) -> list[str]:
    busy = _under_way(clusters)
    finish = f"{count(busy, 'node')} under way will be finished and verified first." if busy else ""
    return ["Nothing new begins.", *([finish] if finish else []), "You can resume it at any time."]


def _aborting(clusters: Sequence[Cluster]) -> list[str]:
    waiting, busy = sum(stage in _NOT_BEGUN for stage in _stages(clusters)), _under_way(clusters)
    return [
        f"{count(waiting, 'node')} that got nothing yet will stay as they are." if waiting != 1
        else "1 node that got nothing yet will stay as it is.",
        f"{count(busy, 'node')} under way: those with something installed will be finished and verified.",
        "It can't be resumed. What is done already stays; a rollback takes it back.",
    ]  # fmt: skip


def _cancelling(name: str, clusters: Sequence[Cluster]) -> list[str]:
    found = next((each for each in clusters if each["name"] == name), None)
    if found is None:
        raise OperatorError(f"{name[:60]!r} is not part of this rollout", fix="name one of its clusters")
    if found["phase"] not in ("pending", "checking"):
        raise RefusedError(f"{name} is {found['phase']}", fix="only one that was not begun can be left out")
    nodes = count(len(found["nodes"]), "node")
    return [f"{name} ({nodes}) stays as it is.", "This rollout does not come back to it."]


def _approving(number: int, rollout: RolloutView, clusters: Sequence[Cluster]) -> list[str]:
    chosen = [each for each in clusters if each["wave"] == number]
    if not chosen:
        raise OperatorError(f"there is no wave {number}", fix="see the waves of the rollout")
    sites = sorted({each["site"] for each in chosen})
    named = ", ".join(sites[:5]) + (f" and {len(sites) - 5} more" if len(sites) > 5 else "")
    nodes = count(sum(len(each["nodes"]) for each in chosen), "node")
    wanted = ", ".join(f"{what} {version}" for what, version in rollout.facts.get("target", {}).items())
    return [
        f"{count(len(chosen), 'cluster')} with {nodes} at {named}: {wanted}.",
        "They begin when the waves before are done, and each site's window is open.",
        "Whoever started the rollout can't approve. Where nobody else could, it counts after ten minutes.",
    ]


def _withdrawing(number: int) -> list[str]:
    return [f"Wave {number} waits for an approval again.", "A wave that was begun is not stopped by this."]
