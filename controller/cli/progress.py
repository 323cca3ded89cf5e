"""Live progress of a run, seen through `Queries`: the engine and whoever follows it see the same.

Three forms: a rich display on a terminal, plain lines elsewhere, JSON lines for programs. None of them
knows what a step does.
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from controller.cli.base import App
from controller.cli.output import COLORS, human_bytes, human_seconds, line, plain
from controller.cli.text import clean
from inventory.wording import count
from web import present
from web.ports import EventView, NodeView, Queries

if TYPE_CHECKING:
    from rich.console import RenderableType

_LEAST_GAP = 0.1  # seconds between two drawings
_LAST_EVENTS = 4


class Follower(Protocol):
    def update(self) -> None:
        """Called often while something runs; looks at the store and shows what is new."""
        ...

    def close(self) -> None: ...


def follower(app: App, queries: Queries, names: Sequence[str], *, after: int) -> Follower:
    """The form that fits: json, terminal or plain. `names` are the nodes of interest, `after` an event id."""
    if app.json:
        return LineFollower(queries, after, lambda event: line(plain(event)))
    if sys.stdout.isatty() and app.environ.get("TERM", "") != "dumb":
        return RichFollower(queries, names, after, app.now)
    durations = Durations()
    return LineFollower(queries, after, lambda event: _say(event, durations.of(event)))


# Kind of event → mark and tone. A step's start and its end carry the same words; the mark tells them apart.
_MARKS = {
    "StepStarted": ("▸", "busy"),
    "StepFinished": ("✓", "good"),
    "Verified": ("✓", "good"),
    "StepFailed": ("✖", "bad"),
}
_SUBJECT_WIDTH = 24


def _say(event: EventView, took: float | None = None) -> None:
    _, tone = _MARKS.get(event.kind, ("", "idle"))
    text = event_text(event, took)
    click.echo(
        f"{clean(event.at, 32)[11:19]}  {click.style(text, fg=COLORS[tone]) if tone == 'bad' else text}"
    )


def event_text(event: EventView, took: float | None = None) -> str:
    """Mark, subject and message on one line; `took` are the seconds of a step that ended."""
    mark, _ = _MARKS.get(event.kind, ("·", "idle"))
    subject = clean(event.subject, 80).removeprefix("node/")
    words = clean(event.message, 400)
    if event.kind == "StepStarted":
        words += " …"
    lasted = f"  ({took:.1f} s)" if took is not None else ""
    return f"{mark} {subject:<{_SUBJECT_WIDTH}} {words}{lasted}"


class Durations:
    """Seconds between the start of a step and its end, by the times of the events themselves."""

    def __init__(self) -> None:
        self._began: dict[str, str] = {}

    def of(self, event: EventView) -> float | None:
        """Notes a start; answers for an end whose start was seen."""
        if event.kind == "StepStarted":
            self._began[event.subject] = event.at
        if event.kind not in ("StepFinished", "StepFailed"):
            return None
        began, ended = (present.parse_time(at) for at in (self._began.pop(event.subject, ""), event.at))
        return (ended - began).total_seconds() if began and ended else None


class LineFollower:
    """One line per event."""

    def __init__(self, queries: Queries, after: int, show: Callable[[EventView], None]) -> None:
        self._queries, self._after, self._show = queries, after, show

    def update(self) -> None:
        while page := self._queries.events(self._after, 500):
            for event in page:
                self._show(event)
            self._after = page[-1].id

    def close(self) -> None:
        self.update()


class RichFollower:
    """A table per site: node, state, step with its bar, time left; the newest events below."""

    def __init__(
        self,
        queries: Queries,
        names: Sequence[str],
        after: int,
        now: Callable[[], datetime],
        console: Any = None,
    ) -> None:
        from rich.console import Console
        from rich.live import Live

        self._queries, self._names, self._now = queries, frozenset(names), now
        self._after = after
        self._recent: list[EventView] = []
        self._drawn = 0.0
        self._live = Live(console=console or Console(), auto_refresh=False, vertical_overflow="ellipsis")
        self._live.start()

    def update(self) -> None:
        if time.monotonic() - self._drawn >= _LEAST_GAP:
            self._draw()

    def close(self) -> None:
        self._draw(last=True)
        self._live.stop()

    def _draw(self, *, last: bool = False) -> None:
        while page := self._queries.events(self._after, 500):
            self._recent = [*self._recent, *page][-_LAST_EVENTS:]
            self._after = page[-1].id
        nodes = [node for node in self._queries.nodes() if not self._names or node.name in self._names]
        rows = max(10, self._live.console.height - 12)  # the rest is titles and events
        recent = () if last else self._recent  # what stays on the screen is the result, not its last moments
        self._live.update(picture(nodes, recent, self._now(), rows=rows), refresh=True)
        self._drawn = time.monotonic()


def picture(
    nodes: Sequence[NodeView], recent: Sequence[EventView], now: datetime, *, rows: int = 60
) -> "RenderableType":
    """What the terminal shows. Texts of machines become `Text`, in which no markup acts.

    With more nodes than `rows`, only those that are at work or stand still are listed.
    """
    from rich.console import Group
    from rich.text import Text

    shown = nodes if len(nodes) <= rows else [node for node in nodes if node.step or node.problem][:rows]
    parts: list[RenderableType] = []
    for site in dict.fromkeys(node.site for node in shown):
        members = [node for node in nodes if node.site == site]
        parts += [_title(site, members, now), _grid([n for n in shown if n.site == site], now), Text()]
    if len(shown) < len(nodes):
        ready = sum(present.node_badge(node, now).tone == "good" for node in nodes)
        parts.append(Text(f"{ready} of {count(len(nodes), 'node')} ready; {len(shown)} shown", style="bold"))
    parts += [Text(event_text(event), style="dim") for event in recent]
    return Group(*parts)


def _title(site: str, members: Sequence[NodeView], now: datetime) -> "RenderableType":
    from rich.text import Text

    left = max(present.seconds_left(node, now) for node in members)
    ready = sum(present.node_badge(node, now).tone == "good" for node in members)
    title = Text(f"{clean(site) or 'no site'}  {ready} of {len(members)} ready", style="bold")
    if left and ready < len(members):
        title.append(f"  at most {human_seconds(left)} left", style="dim")
    return title


def _grid(members: Sequence[NodeView], now: datetime) -> "RenderableType":
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for keep in (True, True, False, False):  # a narrow terminal wraps words, not names and states
        grid.add_column(no_wrap=keep)
    for node in members:
        grid.add_row(*_cells(node, now))
    return grid


_STYLES = {
    "good": "green",
    "busy": "cyan",
    "warn": "yellow",
    "bad": "red",
    "unknown": "magenta",
    "idle": "dim",
}


def _cells(node: NodeView, now: datetime) -> "tuple[RenderableType, ...]":
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    badge, step = present.node_badge(node, now), present.progress(node, now)
    mark = Text(f"{badge.symbol} {clean(badge.label, 40)}", style=_STYLES[badge.tone])
    words = clean(node.problem.split("\n")[0], 80) if node.problem else ""
    if step is not None:
        words = clean(step.title, 60)
        if step.fraction is not None:
            words += f"  {human_bytes(step.done)} of {human_bytes(step.total)}"
        if step.left:
            words += f"  {human_seconds(step.left)}"
    fraction = step.fraction if step and step.fraction is not None else present.fraction_done(node, now)
    bar = ProgressBar(total=1.0, completed=fraction, width=20, complete_style="cyan", finished_style="green")
    return Text("  " + clean(node.name, 40)), mark, bar, Text(words)
