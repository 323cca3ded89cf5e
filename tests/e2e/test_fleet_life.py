"""A fleet after its installation: nothing to do, a change, a reset and a new start, a restored store; the demo."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from inventory.lifecycle import NodeState
from tests.e2e.harness import Case, LabHome, last_json, mutations, run_demo


def edit(case: Case, change: Callable[[dict], None]) -> None:
    documents = list(yaml.safe_load_all(case.site.read_text()))
    change(next(d for d in documents if d["kind"] == "Organization")["spec"])
    case.site.write_text(yaml.safe_dump_all(documents))


def test_a_second_apply_changes_nothing(case: Case):
    case.apply()
    before = mutations(case.log(case.name))
    done = case.apply("--output", "json")
    assert last_json(done.stdout)["state"] == "done"
    assert mutations(case.log(case.name)) == before
    case.check_store()


def test_a_changed_configuration_is_shown_then_delivered_then_nothing(case: Case):
    case.apply()
    edit(case, lambda spec: spec["defaults"]["settings"].update(sysctls={"vm.max_map_count": "262144"}))
    plan = case.ok("plan", "-f", str(case.site)).stdout
    assert "vm.max_map_count" in plan
    assert "reboot" in plan
    assert "PRIVATE KEY" not in plan
    case.apply()
    assert case.effect().applied == 1
    case.apply()
    assert case.effect().applied == 1
    case.check_store()


@pytest.mark.fault
def test_a_change_that_is_taken_back_after_a_crash_does_not_stay_on_the_node(case: Case):
    """The controller dies between delivering and recording; the file then says again what it said before."""
    case.apply()
    former = case.site.read_text()
    edit(case, lambda spec: spec["defaults"]["settings"].update(sysctls={"vm.max_map_count": "262144"}))
    case.apply(code=-9, env={"CTO_CRASH_AT": "reconfigure:after_effect"})
    case.site.write_text(former)
    case.apply()
    assert case.effect().applied == 2
    case.check_store()


def test_a_reset_cluster_is_installed_anew(case: Case):
    case.apply()
    reset = ("node", "reset", "-f", str(case.site), "--cluster", case.cluster)
    asked = case.expect(2, *reset)
    assert "This destroys" in asked.stdout
    assert case.effect().resets == 0
    case.ok(*reset, "--yes")
    assert case.node_state(case.name) == NodeState.RESET
    assert case.cluster_state(case.cluster) == "planned"
    case.apply(code=2)  # its new key is not trusted
    case.await_bootstrap()
    case.ok("node", "add", case.name, "--address", case.address(), "--words", case.words(), "--replace")
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().bootstraps == 2
    case.check_store()


@pytest.mark.parametrize("crash", ["inspect:before_intent", "image:before_intent", "join:before_intent"])
def test_a_restored_store_is_older_than_the_fleet(case: Case, tmp_path: Path, crash: str):
    """The backup was made before the node was installed: Talos answers, and nothing is written again."""
    case.apply(code=-9, env={"CTO_CRASH_AT": crash})
    backup = tmp_path / "fleet.backup"
    case.ok("store", "backup", str(backup))
    case.apply()
    before = case.effect()
    case.ok("store", "restore", str(backup), "--yes")
    assert case.rows("SELECT observe_only FROM meta") == [{"observe_only": 1}]
    case.apply()
    assert case.rows("SELECT observe_only FROM meta") == [{"observe_only": 0}]
    assert case.node_state(case.name) == NodeState.READY
    assert case.cluster_state(case.cluster) == "ready"
    assert case.effect() == before
    case.check_store()


def test_after_a_restore_nothing_changes_while_a_node_is_silent(case: Case, tmp_path: Path):
    case.apply()
    backup = tmp_path / "fleet.backup"
    case.ok("store", "backup", str(backup))
    case.ok("store", "restore", str(backup), "--yes")
    edit(case, lambda spec: spec["defaults"]["settings"].update(sysctls={"vm.max_map_count": "262144"}))
    case.power("off")
    done = case.cto("apply", "-f", str(case.site), "--yes")
    assert done.returncode in (2, 4), done.stdout
    assert case.rows("SELECT observe_only FROM meta") == [{"observe_only": 1}]
    assert case.effect().applied == 0
    assert f"cto store resume --without {case.name}" in done.stdout + done.stderr
    case.power("on")
    case.apply()
    assert case.rows("SELECT observe_only FROM meta") == [{"observe_only": 0}]
    assert case.effect().applied == 1
    case.ok("store", "restore", str(backup), "--yes")
    case.power("off")
    case.ok("store", "resume", "--without", case.name, "--yes", "--reason", "scrapped")
    assert case.rows("SELECT observe_only FROM meta") == [{"observe_only": 0}]
    assert case.rows("SELECT object, reason FROM audit WHERE action = 'leave unread'") == [
        {"object": f"node/{case.name}", "reason": "scrapped"}
    ]
    case.check_store()


def test_a_worker_can_not_come_before_its_control_plane(make_lab: Callable[..., LabHome]):
    lab = make_lab("2")
    worker = next(r["name"] for r in lab.rows("SELECT name FROM nodes WHERE role = 'worker'"))
    done = lab.apply("--node", worker, code=2)
    assert "no control plane yet" in done.stdout
    assert "select a control plane as well" in done.stdout


def test_the_demo_ends_with_its_figures(tmp_path: Path):
    done = run_demo(tmp_path / "demo")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    figures = last_json(done.stdout)
    assert set(figures) == {"sites", "clusters", "nodes", "verified", "seconds"}
    assert [figures[k] for k in ("sites", "clusters", "nodes", "verified")] == [2, 2, 5, 2]
    assert json.loads(json.dumps(figures)) == figures
