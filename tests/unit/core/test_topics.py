"""Topics: one of them for a kind at most, and every kind is one that something really says."""

import re
from pathlib import Path

import pytest

from controller.app.rollout_save import kind_of
from controller.core.rollout.messages import Event
from controller.core.topics import TOPICS, Message, checked, topic_of
from inventory.errors import OperatorError

ROOT = Path(__file__).parents[3]


def test_a_kind_has_one_topic():
    kinds = [kind for found in TOPICS.values() for kind in found]
    assert len(kinds) == len(set(kinds))
    assert topic_of("RolloutPaused") == "paused"
    assert topic_of("StepStarted") == ""


def _stored(word):
    return kind_of(Event(word, "", "", {}))


def test_every_kind_is_said_somewhere():
    """Else people would wait for a message that never comes."""
    source = "".join(
        path.read_text() for path in (ROOT / "controller").rglob("*.py") if path.name != "topics.py"
    )
    told = re.findall(r'tell\(\s*"([a-z-]+)"', source)  # the rollout core's, which are stored as Rollout…
    stages = re.findall(r'= "([a-z-]+)"', (ROOT / "controller/core/rollout/model.py").read_text())
    core = {_stored(word) for word in [*told, *(f"node-{stage}" for stage in stages)]}
    for kind in (kind for found in TOPICS.values() for kind in found):
        assert kind in core or f'"{kind}"' in source, kind


def test_those_chosen_or_all():
    assert checked(()) == tuple(TOPICS)
    assert checked(("wave", "hands")) == ("hands", "wave")
    with pytest.raises(OperatorError, match="no topic"):
        checked(("weather",))


def test_a_title_is_one_line_of_words():
    assert Message("1", "", "hands", "RolloutNodeFailed", "node/x", "t").title == "[cto] needs you: node/x"
