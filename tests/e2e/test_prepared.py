"""`cto apply --until prepared`: made ready now, looked at again each time, installed later.

Needs no root. A case takes a few seconds.
"""

from collections import Counter
from typing import Any

import yaml

from inventory.lifecycle import INSTALL_PATH, NodeState
from tests.e2e.harness import Case, last_json

SETTINGS = {
    "directories": {"/srv/data": {}},  # the lab keeps no modes of directories
    "files": {"/etc/site/motd": {"content": 'it\'s $HOME `of` "ours"\n', "mode": "0600"}},
    "lines": {"/etc/hosts": ["192.0.2.7 mirror.example"], "/etc/new.conf": ["a = 1", "b = 2"]},
}
UNTIL = ("--until", "prepared")


def declare(case: Case, settings: dict[str, Any]) -> None:
    """For all nodes of the organization."""
    documents = list(yaml.safe_load_all(case.site.read_text()))
    documents[0]["spec"].setdefault("defaults", {})["bootstrap"] = settings
    case.site.write_text(yaml.safe_dump_all(documents))


def jobs(case: Case) -> int:
    """How many pyinfra jobs changed something: each operation is an event."""
    return len(case.rows("SELECT 1 FROM events WHERE kind = 'Operation'"))


def test_a_machine_is_made_ready_once_and_looked_at_again(case: Case):
    declare(case, SETTINGS)
    shown = case.expect(0, "plan", "-f", str(case.site), *UNTIL).stdout
    assert "prepare and check the machine" in shown
    assert "write the image" not in shown
    assert "the bootstrap environment is to have 1 directory, 1 file, 3 lines" in shown

    case.apply(*UNTIL)
    assert case.node_state(case.name) == NodeState.PREPARED
    assert case.done_steps(case.name) == Counter(["inspect", "prepare"])
    before, seen = jobs(case), len(case.log(case.name))
    assert before > 0

    again = case.apply(*UNTIL, "--output", "json")
    assert last_json(again.stdout)["state"] == "done"
    assert jobs(case) == before, "no job for a machine that needs nothing"
    assert case.done_steps(case.name) == Counter(["inspect", "prepare"])
    programs = [e["argv"][0] for e in case.log(case.name)[seen:] if e["event"] == "command"]
    assert set(programs) <= {"sha256sum", "stat", "grep", "printf"}
    case.check_store()


def test_only_what_drifted_is_brought_back(case: Case):
    declare(case, SETTINGS)
    case.apply(*UNTIL)
    before = jobs(case)
    changed = {**SETTINGS, "files": {"/etc/site/motd": {"content": "another\n", "mode": "0600"}}}
    declare(case, changed)
    case.apply(*UNTIL)

    assert jobs(case) == before + 1
    assert case.done_steps(case.name) == Counter(["inspect", "prepare", "settings"])
    case.apply(*UNTIL)
    assert jobs(case) == before + 1


def test_it_is_installed_later(case: Case):
    declare(case, SETTINGS)
    case.apply(*UNTIL)
    case.apply()
    assert case.done_steps(case.name) == Counter(t.step for t in INSTALL_PATH)
    assert case.node_state(case.name) == NodeState.READY
    ended = last_json(case.apply(*UNTIL, "--output", "json").stdout)
    assert ended["state"] == "done", "what is further is left alone"
