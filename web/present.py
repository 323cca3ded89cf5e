"""How things are shown: tone, symbol, word, age, what needs a person. One answer for pages and terminal.

Pure: takes views and the time, returns values. No HTML and no escape sequences here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from inventory.lifecycle import NODE_TRANSITIONS as _TRANSITIONS
from inventory.lifecycle import ClusterState, NodeState, Transition, remaining
from inventory.wording import count
from web.ports import ClusterView, NodeView

STALE_AFTER = 600.0  # seconds; what is older is shown as old and never as good

# Tone → symbol. The word beside it says the same, so neither color nor symbol is needed to read it.
SYMBOLS = {"good": "●", "busy": "◐", "warn": "▲", "bad": "✖", "unknown": "?", "idle": "○"}

_MOST_BADGES = 1024

# Nothing was put on the machine yet, or nothing is on it any more.
_NOT_BEGUN = frozenset({NodeState.DECLARED, NodeState.PINNED, NodeState.INSPECTED, NodeState.RESET})
_TITLES = {transition.step: transition for transition in _TRANSITIONS}


@dataclass(frozen=True, slots=True)
class Badge:
    """A state as shown: `tone` is one of good, busy, warn, bad, unknown, idle."""

    tone: str
    label: str

    @property
    def symbol(self) -> str:
        return SYMBOLS[self.tone]


# There are few different ones, and a large fleet is shown by ten thousand of them each second.
_badge = lru_cache(maxsize=_MOST_BADGES)(Badge)


@dataclass(frozen=True, slots=True)
class Progress:
    """The step that runs. `fraction` is None when the step has no measure of its own."""

    title: str
    fraction: float | None
    done: int
    total: int
    left: float | None  # seconds until this step should be over, if that can be told


@lru_cache(maxsize=65_536)
def parse_time(at: str) -> datetime | None:
    """An ISO 8601 time as an aware one; None for "" and for anything else that is no time."""
    try:
        parsed = datetime.fromisoformat(at)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def age_seconds(at: str, now: datetime) -> float | None:
    """Seconds since `at`; None means never."""
    when = parse_time(at)
    return None if when is None else max(0.0, (now - when).total_seconds())


def age(at: str, now: datetime) -> str:
    """As in "12 s ago", "5 min ago", "3 h ago", "2 d ago", "never"."""
    seconds = age_seconds(at, now)
    if seconds is None:
        return "never"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * 2 or (unit != "min" and seconds >= size):
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def until(at: str, now: datetime) -> float:
    """Seconds until then; 0 for what is over, or no time."""
    when = parse_time(at)
    return 0.0 if when is None else max(0.0, (when - now).total_seconds())


def lasts(seconds: float) -> str:
    """A length of time, as in "40 s", "21 min", "3 h 20 min", "2 d 4 h"."""
    whole = max(0, round(seconds))
    for size, unit, less, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if whole >= size:
            rest = whole % size // less
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def is_stale(at: str, now: datetime) -> bool:
    """Is what was known at `at` too old to be trusted? Never known counts as stale."""
    seconds = age_seconds(at, now)
    return seconds is None or seconds > STALE_AFTER


def node_badge(node: NodeView, now: datetime) -> Badge:
    """A node that is ready but was not seen lately is unknown, not good."""
    if node.problem:
        return _badge("bad", f"{node.state}, stopped")
    if node.step:
        return _badge("busy", node.state)
    if node.state == NodeState.READY:
        if is_stale(node.seen_at, now):
            return _badge("unknown", "ready when last seen")
        return _badge("good", "ready")
    if node.state in _NOT_BEGUN:
        return _badge("idle", node.state)
    return _badge("warn", f"{node.state}, unfinished")


def cluster_badge(cluster: ClusterView, now: datetime) -> Badge:
    """Good only if verified lately and every member is ready."""
    if cluster.problem:
        return Badge("bad", f"{cluster.state}, stopped")
    if cluster.state == ClusterState.READY:
        if cluster.ready < cluster.nodes:
            return Badge("warn", f"{cluster.ready} of {count(cluster.nodes, 'node')} ready")
        if is_stale(cluster.verified_at, now):
            return Badge("unknown", "ready when last verified")
        return Badge("good", "ready")
    return Badge("idle" if cluster.state == ClusterState.PLANNED else "busy", cluster.state)


def site_badge(clusters: Sequence[Badge]) -> Badge:
    """As bad as the worst of its clusters."""
    for tone, label in (("bad", "stopped"), ("unknown", "not seen lately"), ("warn", "unfinished")):
        if any(badge.tone == tone for badge in clusters):
            return Badge(tone, label)
    if any(badge.tone == "busy" for badge in clusters):
        return Badge("busy", "at work")
    if clusters and all(badge.tone == "good" for badge in clusters):
        return Badge("good", "ready")
    return Badge("idle", "nothing installed")


def progress(node: NodeView, now: datetime) -> Progress | None:
    """The running step of a node, with its measure and an estimate of what is left."""
    if not node.step:
        return None
    transition = _TITLES.get(node.step)
    title = transition.title if transition else node.step
    elapsed = age_seconds(node.step_started_at, now) or 0.0
    if node.total > 0:
        fraction = min(1.0, max(0.0, node.done / node.total))
        left = elapsed * (1 - fraction) / fraction if fraction > 0.02 else None
        return Progress(title, fraction, node.done, node.total, left)
    left = max(0.0, transition.seconds - elapsed) if transition else None
    return Progress(title, None, 0, 0, left)


def seconds_left(node: NodeView, now: datetime) -> float:
    """An estimate until this node is ready: the rest of its step, then the usual time of the others."""
    try:
        ahead: tuple[Transition, ...] = remaining(NodeState(node.state))
    except ValueError:
        return 0.0
    running = progress(node, now)
    rest = ahead[1:] if running and ahead and ahead[0].step == node.step else ahead
    first = (running.left or 0.0) if running else 0.0
    return first + sum(transition.seconds for transition in rest)


def fraction_done(node: NodeView, now: datetime) -> float:
    """How far a node is on its way to ready, by usual durations."""
    total = sum(transition.seconds for transition in remaining(NodeState.PINNED)) or 1.0
    if node.state == NodeState.READY:
        return 1.0
    return min(1.0, max(0.0, 1 - seconds_left(node, now) / total))


@dataclass(frozen=True, slots=True)
class Need:
    """One thing a person has to look at."""

    subject: str  # "node/x", "cluster/y"
    text: str
    tone: str = "bad"


def needs(nodes: Sequence[NodeView], clusters: Sequence[ClusterView]) -> list[Need]:
    """What stands still until somebody does something, clusters first."""
    found = [Need(f"cluster/{cluster.name}", cluster.problem) for cluster in clusters if cluster.problem]
    found += [Need(f"node/{node.name}", node.problem) for node in nodes if node.problem]
    found += [
        Need(f"node/{node.name}", f"not trusted yet: pin its host key with cto node add {node.name}", "warn")
        for node in nodes
        if node.state == NodeState.DECLARED and not node.problem
    ]
    return found
