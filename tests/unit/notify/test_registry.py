"""A new way of telling people is one file in the folder; each is on the page with all its settings."""

from pathlib import Path

import pytest

from controller.adapters import notifiers
from controller.adapters.notifiers import Registry
from controller.core.topics import TOPICS, Message
from inventory.errors import OperatorError

PAGE = (Path(__file__).parents[3] / "docs/notifications.md").read_text()
NEW = """
class Pager:
    kind, secret, needs_secret, fields = "pager", "", False, {"number": "whom to call"}
    def check(self, settings): return settings
    def send(self, settings, secret, message): self.last = (settings["number"], message.title)
NOTIFIER = Pager()
"""


def test_each_has_what_is_needed_and_is_on_the_page():
    for kind in Registry().kinds():
        way = Registry().get(kind)
        assert way.kind == kind
        assert kind in PAGE.lower()
        assert all(way.fields.values())
    for topic in TOPICS:
        assert f"`{topic}`" in PAGE


def test_one_file_is_enough(tmp_path, monkeypatch):
    (tmp_path / "pager.py").write_text(NEW)
    monkeypatch.setattr(notifiers, "__path__", [*notifiers.__path__, str(tmp_path)])
    assert "pager" in Registry().kinds()
    pager = Registry().get("pager")
    pager.send(pager.check({"number": "110"}), "", Message("1", "", "hands", "x", "node/a", ""))
    assert pager.last == ("110", "[cto] needs you: node/a")


def test_one_that_is_not_there():
    with pytest.raises(OperatorError, match="email, webhook"):
        Registry().get("../../etc/passwd")
