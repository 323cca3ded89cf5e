"""A node's steps as a page shows them: what was begun and how it ended, and the way that lies ahead. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.lifecycle import INSTALL_PATH, NODE_TRANSITIONS, NodeState
from web import present
from web.ports import EventView, NodeView
from web.present import Badge

_ENDS = {"StepFinished": Badge("good", "done"), "StepFailed": Badge("bad", "failed")}
KINDS = frozenset({"StepStarted", *_ENDS})  # events that the log of steps tells of
_WAY = (NODE_TRANSITIONS[0], *INSTALL_PATH)  # from a line in a file to ready


@dataclass(frozen=True, slots=True)
class StepLine:
    """One attempt at one step. `took` in seconds; None while it runs, or if its beginning is not known."""

    at: str
    title: str
    badge: Badge
    attempt: int
    took: float | None
    said: str  # why it failed


@dataclass(frozen=True, slots=True)
class Stop:
    """A step on the way to ready. `seconds`: how long it usually takes, for what lies ahead."""

    title: str
    badge: Badge
    seconds: float


def step_log(events: Sequence[EventView], node: NodeView) -> list[StepLine]:
    """The youngest first. `events` are the node's, the oldest first."""
    begun: dict[tuple[str, int], EventView] = {}
    lines: list[StepLine] = []
    for event in events:
        attempt = event.data.get("attempt")
        key = (str(event.data.get("step", "")), attempt if isinstance(attempt, int) else 0)
        if event.kind == "StepStarted":
            begun[key] = event
        elif event.kind in _ENDS:
            lines.append(_ended(event, begun.pop(key, None), key[1]))
    # What was begun last may run now. What was begun before it and has no end was left behind by a crash.
    for (step, attempt), event in begun.items():
        runs = step == node.step
        badge = Badge("busy", "runs now") if runs else Badge("unknown", "no end is known")
        lines.append(StepLine(event.at, event.message, badge, attempt, None, ""))
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _ended(event: EventView, begun: EventView | None, attempt: int) -> StepLine:
    title = begun.message if begun else event.message
    start = present.parse_time(begun.at) if begun else None
    end = present.parse_time(event.at)
    took = (end - start).total_seconds() if start and end else None
    said = event.message.removeprefix(f"{title}: ") if event.kind == "StepFailed" else ""
    return StepLine(begun.at if begun else event.at, title, _ENDS[event.kind], attempt, took, said)


def way(node: NodeView) -> list[Stop]:
    """From declared to ready; nothing for a node that is there, or that was given up."""
    if node.state in (NodeState.READY, NodeState.RESET) or node.state not in [t.source for t in _WAY]:
        return []
    at = [transition.source for transition in _WAY].index(NodeState(node.state))
    return [
        Stop(transition.title, _stop_badge(index, at, node), 0.0 if index < at else transition.seconds)
        for index, transition in enumerate(_WAY)
    ]


def _stop_badge(index: int, at: int, node: NodeView) -> Badge:
    if index < at:
        return Badge("good", "done")
    if index > at:
        return Badge("idle", "ahead")
    if node.problem:
        return Badge("bad", "stands still here")
    return Badge("busy", "now") if node.step else Badge("idle", "next")
