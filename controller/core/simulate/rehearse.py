"""The real plan in a simulated fleet with stated faults: what would happen, and when. Touches no machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.core.rollout.model import Policy, RolloutState, Target
from controller.core.rollout.planning import Cluster, Releases
from controller.core.simulate.report import Line
from controller.core.simulate.runner import Runner
from controller.core.simulate.scenario import Faults, Ill, Openings, Scenario
from inventory.errors import RefusedError
from inventory.wording import count

TOLD = frozenset(
    (
        "wave-started",
        "wave-baking",
        "wave-done",
        "cluster-done",
        "cluster-failed",
        "node-rolled-back",
        "node-needs-hands",
        "node-failed",
        "paused",
        "stopped",
        "succeeded",
        "overrun",
    )
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the rehearsal came to."""

    status: str
    why: str
    seconds: float
    lines: tuple[Line, ...]
    updated: int
    nodes: int


def faults(texts: Sequence[str]) -> Faults:
    """Reads `NODE=KIND` (a node that misbehaves with the new version) and `loss=PERCENT` (of messages)."""
    ill: dict[str, Ill] = {}
    loss = 0
    for text in texts:
        name, _, value = text.partition("=")
        if name == "loss" and value.isdecimal() and int(value) <= 50:
            loss = int(value)
        elif name and value in set(Ill):
            ill[name] = Ill(value)
        else:
            raise RefusedError(
                f"{text!r} is not a fault",
                fix=f"NODE=KIND with one of {', '.join(Ill)}; or loss=0…50",
            )
    share = loss / 100
    return Faults(lost_reply=share, lost_request=share, lost_read=share, duplicate=share, ill=ill)


def rehearse(
    target: Target,
    policy: Policy,
    clusters: Sequence[Cluster],
    releases: Releases,
    stated: Faults,
    *,
    openings: Openings | None = None,
    state: RolloutState | None = None,
    seed: int = 1,
) -> Timeline:
    """Runs the plan once. Equal arguments give an equal timeline."""
    known = {node.name for cluster in clusters for node in cluster.nodes}
    strange = sorted(set(stated.ill) - known)
    if strange:
        raise RefusedError(f"{strange[0]} is not in the plan", fix=f"nodes: {', '.join(sorted(known)[:10])}")
    scenario = Scenario(
        seed=seed,
        target=target,
        policy=policy,
        clusters=tuple(clusters),
        releases=releases,
        faults=stated,
        openings=openings or Openings(),
    )
    report = Runner(scenario, state=state).run()
    return Timeline(
        status=str(report.state.status),
        why=report.state.why,
        seconds=report.seconds,
        lines=tuple(line for line in report.lines if line.event.kind in TOLD),
        updated=sum(line.event.kind == "node-committed" for line in report.lines),
        nodes=scenario.nodes,
    )


def text(timeline: Timeline) -> str:
    """One line per moment, then the sum."""
    rows = [f"{_clock(line.at):>10}  {line.event.subject}: {line.event.text}" for line in timeline.lines]
    end = f"{timeline.status}{': ' + timeline.why if timeline.why else ''}"
    return "\n".join([*rows, f"{_clock(timeline.seconds):>10}  {end}", _counts(timeline)])


def _counts(timeline: Timeline) -> str:
    return f"{count(timeline.updated, 'update')} on {count(timeline.nodes, 'node')}"


def _clock(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours = minutes // 1440, minutes % 1440 // 60
    return f"{days} d {hours:02}:{minutes % 60:02}" if days else f"{hours:02}:{minutes % 60:02}"
