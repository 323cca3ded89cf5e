"""The picture of a rollout: a column for each wave, a cell for each cluster. Pure geometry and words.

The template turns it into SVG. A cell's state is told by its symbol and a word, never by its color alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from web.present import Badge

# Stages of a node in the order in which it passes them; the others are not on the way.
STAGES = (
    "planned",
    "staged",
    "guarded",
    "cordoned",
    "drained",
    "installing",
    "rebooting",
    "verifying",
    "soaking",
    "committed",
)
WAVE_BADGES = {
    "done": Badge("good", "done"),
    "running": Badge("busy", "running"),
    "baking": Badge("busy", "watched"),
    "approval": Badge("warn", "needs approval"),
}
_WIDE, _HIGH, _GAP, _HEAD = 148, 42, 8, 46
_DOT, _ROWS, _ACROSS = 24, 12, 8  # without names: at most so many below and beside each other
NAMED = 10  # clusters of a wave of which each has room for its name
_LEAST = 128  # so that the head of a column has room


@dataclass(frozen=True, slots=True)
class Cell:
    name: str
    badge: Badge
    fraction: float  # of the way
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class WaveColumn:
    number: int
    badge: Badge
    x: int
    cells: Sequence[Cell]
    more: int  # clusters without a cell


@dataclass(frozen=True, slots=True)
class WavePicture:
    width: int
    height: int
    cell_width: int
    cell_height: int
    named: bool
    columns: Sequence[WaveColumn]
    legend: Sequence[Badge]


def draw_waves(waves: Sequence[Mapping[str, Any]], clusters: Sequence[Mapping[str, Any]]) -> WavePicture:
    """`waves` of the summary, `clusters` with their nodes."""
    of_wave: dict[int, list[Mapping[str, Any]]] = {}
    for cluster in clusters:
        of_wave.setdefault(cluster["wave"], []).append(cluster)
    named = max(map(len, of_wave.values()), default=0) <= NAMED
    wide, high = (_WIDE, _HIGH) if named else (_DOT, _DOT)
    gap = _GAP if named else 3
    columns, left, lowest = [], 0, 1
    for wave in waves:
        members = of_wave.get(wave["number"], [])
        rows = NAMED if named else _ROWS
        room = rows if named else _ROWS * _ACROSS
        cells = [
            _cell(each, left + (at // rows) * (wide + gap), _HEAD + (at % rows) * (high + gap))
            for at, each in enumerate(members[:room])
        ]
        badge = WAVE_BADGES.get(wave["state"], Badge("idle", wave["state"]))
        columns.append(WaveColumn(wave["number"], badge, left, cells, len(members) - len(cells)))
        across = max(1, -(-len(cells) // rows))
        left += max(_LEAST, across * (wide + gap)) + 20
        lowest = max(lowest, min(len(cells), rows))
    legend = {cell.badge.label: cell.badge for column in columns for cell in column.cells}
    height = _HEAD + lowest * (high + gap) + 20
    return WavePicture(max(left - 20, _LEAST), height, wide, high, named, columns, [*legend.values()])


def _cell(cluster: Mapping[str, Any], x: int, y: int) -> Cell:
    return Cell(cluster["name"], cluster_badge(cluster), fraction(cluster), x, y)


def cluster_badge(cluster: Mapping[str, Any]) -> Badge:
    """The worst that is true of it."""
    stages, phase = {node["stage"] for node in cluster["nodes"]}, cluster["phase"]
    if "needs-hands" in stages:
        return Badge("bad", "needs hands")
    if phase == "failed" or "failed" in stages:
        return Badge("bad", "failed")
    if cluster["red"]:
        return Badge("bad", "not well")
    if stages & {"rolled-back", "rolling-back"}:
        return Badge("warn", "rolled back")
    if phase in ("running", "checking"):
        return Badge("warn", "waits") if cluster["waits"] else Badge("busy", phase)
    known = {"succeeded": Badge("good", "done"), "cancelled": Badge("idle", "left out")}
    return known.get(phase, Badge("idle", "not begun"))


def fraction(cluster: Mapping[str, Any]) -> float:
    """How much of its way, over all its nodes and hops, is behind it."""
    if cluster["phase"] == "succeeded":
        return 1.0
    nodes, hops = cluster["nodes"], max(1, len(cluster["hops"]))
    if not nodes:
        return 0.0
    here = sum(steps(node["stage"]) for node in nodes) / (len(nodes) * (len(STAGES) - 1))
    return min(1.0, (max(0, int(cluster["hop"]) - 1) + here) / hops)


def steps(stage: str) -> int:
    """How many steps of the way lie behind a node in this stage."""
    return STAGES.index(stage) if stage in STAGES else 0
