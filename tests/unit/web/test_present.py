"""How things are shown: old is never good, and every tone has a symbol of its own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.lifecycle import NodeState
from web import present
from web.ports import ClusterView, NodeView
from web.topology import draw

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def node(state="ready", **fields):
    return NodeView("n1", "s", "c", "worker", state, "10.0.0.1", **fields)


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (172800, "2 d ago"),
    ],
)
def test_ages(seconds, text):
    assert present.age(ago(seconds), NOW) == text


def test_never_and_nonsense():
    assert present.age("", NOW) == "never"
    assert present.is_stale("", NOW)
    assert present.is_stale("yesterday-ish", NOW)


@pytest.mark.parametrize("state", list(NodeState))
def test_only_a_ready_node_seen_lately_is_good(state):
    assert (present.node_badge(node(state, seen_at=ago(1)), NOW).tone == "good") == (state is NodeState.READY)
    assert present.node_badge(node(state, seen_at=ago(601)), NOW).tone != "good"
    assert present.node_badge(node(state), NOW).tone != "good"
    assert present.node_badge(node(state, seen_at=ago(1), problem="x"), NOW).tone == "bad"


def test_a_cluster_is_good_only_if_whole_and_verified_lately():
    good = ClusterView("c", "s", "ready", "https://e:6443", "1.36.3", 3, 3, verified_at=ago(5))
    assert present.cluster_badge(good, NOW).tone == "good"
    assert present.cluster_badge(replace(good, ready=2), NOW).tone == "warn"
    assert present.cluster_badge(replace(good, verified_at=""), NOW).tone == "unknown"
    assert present.cluster_badge(replace(good, problem="etcd"), NOW).tone == "bad"


def test_symbols_differ():
    assert len(set(present.SYMBOLS.values())) == len(present.SYMBOLS)


def test_progress_of_a_measured_step():
    running = node("prepared", step="image", step_started_at=ago(10), done=25, total=100)
    step = present.progress(running, NOW)
    assert step is not None
    assert (step.title, step.fraction) == ("write the image", 0.25)
    assert step.left == pytest.approx(30)


@given(
    state=st.sampled_from([*NodeState, "unheard-of"]),
    done=st.integers(-5, 10**15),
    total=st.integers(-5, 10**15),
    at=st.text(max_size=30),
    step=st.text(max_size=20),
)
def test_no_view_breaks_the_showing(state, done, total, at, step):
    view = node(state, step=step, step_started_at=at, seen_at=at, done=done, total=total)
    assert 0 <= present.fraction_done(view, NOW) <= 1
    assert present.seconds_left(view, NOW) >= 0
    assert present.node_badge(view, NOW).symbol
    present.progress(view, NOW)


@given(st.integers(0, 40), st.integers(0, 40))
def test_boxes_of_a_picture_lie_apart_and_inside(planes, workers):
    nodes = [node() for _ in range(workers)] + [replace(node(), role="controlplane") for _ in range(planes)]
    picture = draw(nodes, NOW)
    places = {(box.x, box.y) for box in picture.boxes}
    assert len(places) == len(nodes)
    for x, y in places:
        assert 0 <= x <= picture.width - picture.box_width
        assert 0 <= y <= picture.height - picture.box_height
