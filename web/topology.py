"""The picture of a cluster: endpoint, control planes, workers, and who is well. Pure geometry.

The template turns it into SVG. Positions only; tone and words come from `web.present`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from web import present
from web.ports import NodeView

_BOX_WIDTH, _BOX_HEIGHT, _GAP, _PER_ROW = 160, 44, 14, 5
_TOP, _BETWEEN, _LINE = 46, 30, 16
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Box:
    node: NodeView
    badge: present.Badge
    x: int
    y: int
    controls: bool  # a control plane: has a line to the endpoint
    mark: str = ""  # what else is to be read in it, such as its role in etcd


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: int
    middle: int
    boxes: Sequence[Box]
    box_width: int = _BOX_WIDTH
    box_height: int = _BOX_HEIGHT


def draw(nodes: Sequence[NodeView], now: datetime, marks: Mapping[str, str] = _NONE) -> Picture:
    """Control planes (and appliances) in the upper rows, workers below, each row centered.

    `marks`: by node, one more line in its box; with any, all boxes are higher by it.
    """
    height = _BOX_HEIGHT + (_LINE if marks else 0)
    upper = [node for node in nodes if node.role != "worker"]
    lower = [node for node in nodes if node.role == "worker"]
    rows = [(part, True) for part in _rows(upper)] + [(part, False) for part in _rows(lower)]
    widest = max((len(part) for part, _ in rows), default=1)
    width = max(widest * (_BOX_WIDTH + _GAP) + _GAP, 280)
    boxes = []
    for index, (part, controls) in enumerate(rows):
        left = (width - len(part) * (_BOX_WIDTH + _GAP) + _GAP) // 2
        for column, node in enumerate(part):
            x, y = left + column * (_BOX_WIDTH + _GAP), _TOP + index * (height + _BETWEEN) + 18
            boxes.append(Box(node, present.node_badge(node, now), x, y, controls, marks.get(node.name, "")))
    return Picture(width, _TOP + len(rows) * (height + _BETWEEN) + 4, width // 2, boxes, box_height=height)


def _rows(nodes: Sequence[NodeView]) -> list[Sequence[NodeView]]:
    return [nodes[start : start + _PER_ROW] for start in range(0, len(nodes), _PER_ROW)]
