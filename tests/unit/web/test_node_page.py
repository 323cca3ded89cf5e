"""A node's page: its way, its steps, its disks, and what changed between two looks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inventory.lifecycle import INSTALL_PATH, NodeState
from web import node_steps
from web.ports import EventView

HARDWARE = Path(__file__).parents[2] / "fixtures" / "hardware"


def event(number, kind, step, attempt=1, message="write the image", **more):
    at = f"2026-03-02T11:{number:02}:00Z"
    return EventView(number, at, kind, "node/x", message, {"step": step, "attempt": attempt, **more})


@pytest.fixture
def node(queries):
    return replace(queries.node_views[0], name="x", state="prepared", step="", problem="")


def test_a_step_has_a_length_an_end_and_a_reason(node):
    events = [
        event(1, "StepStarted", "image"),
        event(3, "StepFailed", "image", message="write the image: the disk is too small"),
        event(4, "StepStarted", "image", attempt=2),
        event(9, "StepFinished", "image", attempt=2),
    ]
    second, first = node_steps.step_log(events, node)
    assert (first.title, first.badge.label, first.took) == ("write the image", "failed", 120)
    assert first.said == "the disk is too small"
    assert (second.attempt, second.badge.label, second.took, second.said) == (2, "done", 300, "")


def test_what_runs_now_is_told_from_what_a_crash_left(node):
    events = [event(1, "StepStarted", "prepare"), event(2, "StepStarted", "image", attempt=3)]
    running, left = node_steps.step_log(events, replace(node, step="image"))
    assert (running.badge.label, running.took, running.attempt) == ("runs now", None, 3)
    assert (left.badge.label, left.badge.tone) == ("no end is known", "unknown")


def test_an_end_whose_beginning_is_too_old_to_be_known_has_no_length(node):
    (line,) = node_steps.step_log([event(1, "StepFinished", "image")], node)
    assert line.took is None


def test_other_events_and_odd_data_are_no_steps(node):
    assert (
        node_steps.step_log([EventView(1, "", "FactsTaken", "node/x", "taken", {"step": "image"})], node)
        == []
    )
    odd = EventView(1, "", "StepStarted", "node/x", "write", {"step": None, "attempt": "many"})
    assert [line.attempt for line in node_steps.step_log([odd], node)] == [0]


def test_the_way_says_what_lies_behind_and_ahead(node):
    stops = node_steps.way(node)
    assert [stop.badge.label for stop in stops] == ["done"] * 3 + ["next"] + ["ahead"] * 6
    assert stops[-1].seconds > 0
    assert node_steps.way(replace(node, step="image"))[3].badge.label == "now"
    assert node_steps.way(replace(node, problem="no answer"))[3].badge.tone == "bad"


@pytest.mark.parametrize("state", ["ready", "reset", "of a later version"])
def test_who_is_there_has_no_way_before_them(node, state):
    assert node_steps.way(replace(node, state=state)) == []


@pytest.mark.parametrize("state", [each.source for each in INSTALL_PATH] + [NodeState.DECLARED])
def test_every_state_on_the_way_has_exactly_one_stop_where_it_stands(node, state):
    stops = node_steps.way(replace(node, state=state))
    assert [stop.badge.label for stop in stops].count("next") == 1


@pytest.fixture
def looked_at(queries):
    """Three looks at a machine of the catalogue, whose memory grew twice."""
    body = json.loads((HARDWARE / "dell-r660.json").read_text())
    made = []
    for day, share in ((3, 1), (2, 2), (1, 4)):
        copy = json.loads(json.dumps({"facts": body["facts"], "problems": []}))
        copy["facts"]["memory"]["total"] //= share
        made.append({"taken_at": f"2026-03-0{day}T11:57:00Z", "digest": f"{day}" * 32, "body": copy})
    queries.facts_by_node["berlin-cp-1"] = made
    return [each["body"]["facts"]["memory"]["total"] for each in made]


def test_the_page_shows_disks_with_their_health_and_the_last_change(client, looked_at):
    page = client.get("/nodes/berlin-cp-1").text
    for text in ("Dell BOSS-N1", "34 °C · 1 % worn · 1210 h in use", "well", "memory.total"):
        assert text in page
    assert str(looked_at[0]) in page
    assert str(looked_at[1]) in page
    assert str(looked_at[2]) not in page.split("As gathered")[0]


def test_any_two_looks_are_compared(client, looked_at):
    page = client.get("/nodes/berlin-cp-1/facts?of=0&with=2").text
    assert "From 2026-03-01 11:57 to 2026-03-03 11:57 UTC" in page
    changes = page.split("<tbody>")[1].split("</tbody>")[0]
    assert str(looked_at[2]) in changes
    assert str(looked_at[1]) not in changes
    same = client.get("/nodes/berlin-cp-1/facts?of=2&with=0").text  # the older one is before, either way
    assert same.split("<tbody>")[1].split("</tbody>")[0] == changes


@pytest.mark.parametrize("query", ["of=9", "with=9", "of=-1", "with=x", "of=0&with=0", "of=2"])
def test_a_look_that_is_not_there_is_passed_over(client, looked_at, query):
    assert client.get(f"/nodes/berlin-cp-1/facts?{query}").status_code == 200


def test_a_node_under_way_says_when_it_is_ready(client):
    page = client.get("/nodes/berlin-cp-2").text
    assert "Way to ready" in page
    assert "Ready in about 3 min" in page
    assert "runs now" in page
    assert "Way to ready" not in client.get("/nodes/berlin-cp-1").text


def test_a_cluster_says_what_changes_it_and_which_nodes_are_drained(client, login, rollout):
    page = client.get("/clusters/porto").text
    assert f'href="/rollouts/{rollout["id"]}?cluster=porto"' in page
    assert "it waits: outside its maintenance windows" in page
    assert "needs-hands" in page
    assert "no node cordoned or drained now" in client.get("/clusters/berlin").text
    assert rollout["id"] not in login("olga").get("/clusters/berlin").text  # it concerns Porto, too


def test_a_cluster_shows_its_versions(client, queries):
    queries.change("berlin-cp-3", talos="v1.13.8")
    page = client.get("/clusters/berlin").text
    assert "v1.13.9 <small>on 1</small>, v1.13.8 <small>on 1</small>" in page
