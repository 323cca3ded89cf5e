"""Live progress: the same store seen by a terminal, a pipe and a program."""

import io
import json
import re
from datetime import UTC, datetime

from rich.console import Console

from controller.cli.base import App
from controller.cli.progress import Durations, LineFollower, RichFollower, event_text, follower, picture
from controller.store import Home, StoreQueries
from web.ports import EventView, NodeView

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def node(number, **fields):
    return NodeView(
        f"n{number:03}", f"site{number % 3}", "c", "worker", fields.pop("state", "ready"), "a", **fields
    )


def text(renderable):
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    return console.file.getvalue()


def test_a_pipe_gets_each_event_once(fleet, home, capsys):
    with StoreQueries(Home(home)) as queries:
        lines = follower(App(), queries, (), after=0)
        assert isinstance(lines, LineFollower)
        lines.update()
        lines.close()
    out = capsys.readouterr().out
    assert len(re.findall(r"▸ berlin-cp-1 +prepare and check the machine …", out)) == 1


def test_a_program_gets_json_lines(fleet, home, capsys):
    with StoreQueries(Home(home)) as queries:
        lines = follower(App(output="json"), queries, (), after=2)
        lines.update()
        lines.close()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["id"] for event in events] == list(range(3, 3 + len(events)))


def test_a_terminal_sees_steps_bars_and_sites(fleet, home):
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True)
    with StoreQueries(Home(home)) as queries:
        shown = RichFollower(queries, ["berlin-cp-1", "berlin-w-1"], 0, lambda: NOW, console)
        shown.update()
        shown.close()
    out = console.file.getvalue()
    for part in ("berlin", "0 of 2 ready", "prepare and check the machine", "no answer within 10 s"):
        assert part in out
    assert "porto" not in out


def test_a_large_fleet_shows_who_is_at_work():
    nodes = [node(number, seen_at=NOW.isoformat()) for number in range(200)]
    nodes[150] = node(150, state="prepared", step="image", done=1, total=4)
    nodes[160] = node(160, state="imaged", problem="power lost")
    out = text(picture(nodes, [], NOW, rows=30))
    assert "n150" in out
    assert "power lost" in out
    assert "n000" not in out
    assert "198 of 200 nodes ready; 2 shown" in out
    assert len(out.splitlines()) < 12


def test_start_end_and_failure_of_a_step_look_different():
    durations = Durations()
    shown = []
    for number, kind in enumerate(("StepStarted", "StepFinished", "StepStarted", "StepFailed")):
        event = EventView(number, f"2026-03-02T10:00:0{number}Z", kind, "node/n", "write the image")
        shown.append(" ".join(event_text(event, durations.of(event)).split()))
    assert shown == [
        "▸ n write the image …",
        "✓ n write the image (1.0 s)",
        "▸ n write the image …",
        "✖ n write the image (1.0 s)",
    ]
