"""Rollouts in the lab: both ways of upgrading, and what becomes of nodes that misbehave."""

import asyncio
import json
import stat
from itertools import pairwise

import pytest
import yaml

from controller.app.context import Limits
from controller.app.upgrade.looks import look_at_cluster
from controller.app.upgrade.reach import Reach
from controller.wiring import on_loop, open_services
from tests.e2e.harness import LabHome
from tests.e2e.rollout_harness import Rollouts

pytestmark = pytest.mark.slow
OLD, MIDDLE, NEW = "1.12.11", "1.13.9", "1.14.1"


@pytest.fixture
def installed(make_lab):
    """`installed("4,1")`: a lab whose clusters run."""

    def build(mixed: str, talos: str = OLD, **timing: float) -> Rollouts:
        lab: LabHome = make_lab(mixed, "--talos", talos)
        lab.apply()
        return Rollouts(lab, **timing)

    return build


async def leader_of(world: Rollouts, cluster: str) -> str:
    """As the rollout itself would read it."""
    with open_services(world.lab.home) as services:
        async with on_loop(services):
            reach = Reach(services, cluster, Limits.default())
            try:
                return (await look_at_cluster(reach, "")).leader
            finally:
                await reach.close()


def test_a_cluster_goes_two_minors_by_both_ways(installed):
    """Control planes one at a time with the leader last, then the worker; each node is told each thing once."""
    world = installed("4")
    leader = asyncio.run(leader_of(world, "berlin"))
    done = world.run("--talos", NEW, "--via", MIDDLE)

    assert (done["status"], done["summary"]["nodes_done"]) == ("succeeded", 4)
    planes, worker = ["berlin-cp-1", "berlin-cp-2", "berlin-cp-3"], "berlin-worker-1"
    spans = world.spans(done["id"])
    for name in (*planes, worker):
        # The legacy call, which installs and reboots; then an install and a reboot.
        assert world.calls(name) == {"Upgrade": 2, "Reboot": 1}
        assert world.lab.rows("SELECT talos FROM nodes WHERE name = ?", name) == [{"talos": NEW}]
    for hop in (0, 1):
        order = sorted(planes, key=lambda name: spans[name][hop][0])
        assert all(spans[a][hop][1] <= spans[b][hop][0] for a, b in pairwise((*order, worker)))
        if hop == 0:
            assert order[-1] == leader
    saved = [act["key"].split("/")[1] for act in world.acts(done["id"]) if act["step"] == "snapshot"]
    assert saved == ["0", "1"]  # before each hop's first control plane
    files = list((world.lab.home / "snapshots").rglob("*.sealed"))
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    world.check_store()
    assert json.loads(world.lab.ok("plan", *world.files, "--output", "json").stdout)


def test_what_becomes_of_nodes_that_misbehave(installed):
    """Good ones finish, bad ones return to the old version, one that never comes back needs hands."""
    world = installed("1,1,1,1,1,1")
    world.declare(reboot=10, verify=6, soak_deadline=8, install=10)
    old, bad, gone, flaps, unfit = "oslo-1", "lisbon-1", "vienna-1", "turin-1", "berlin-1"
    good = "porto-1"
    mark_canary(world, good)
    faults = {
        old: "boot-fails", bad: "ready-but-bad", gone: "boot-hang", flaps: "flaps", unfit: "install-fails",
    }  # fmt: skip
    for name, kind in faults.items():
        world.lab.fault(name, kind, at=f"v{MIDDLE}", times=0)
    done = world.run("--talos", MIDDLE, code=4)

    assert done["status"] == "stopped"
    nodes = world.nodes(done)
    assert {name: node["stage"] for name, node in nodes.items()} == {
        good: "committed",
        old: "rolled-back",
        bad: "rolled-back",
        flaps: "rolled-back",
        unfit: "rolled-back",
        gone: "needs-hands",
    }
    assert "power it off and on" in nodes[gone]["reason"]
    assert "power it off and on" in world.lab.ok("status").stdout
    # One that came back with the old version is not told again; one that is ill is told to go back, once.
    assert world.calls(old) == world.calls(unfit) == {"Upgrade": 1}
    assert world.calls(bad) == world.calls(flaps) == {"Upgrade": 1, "Rollback": 1}
    for name in (old, bad, flaps, unfit):
        assert world.lab.rows("SELECT talos FROM nodes WHERE name = ?", name) == [{"talos": OLD}]
    world.check_store()


def mark_canary(world: Rollouts, node: str) -> None:
    documents = list(yaml.safe_load_all(world.lab.site.read_text()))
    site = world.lab.machine(node).site
    for document in documents:
        if (document["kind"], document["metadata"]["name"]) == ("Site", site):
            document["metadata"]["labels"] = {"canary": "true"}
    world.lab.site.write_text(yaml.safe_dump_all(documents))


def test_nobody_is_left_out_for_being_slow(installed):
    """The guard has no use for a read that took five seconds; a plan has."""
    world = installed("1")
    world.lab.fault("berlin-1", "slow", at="Version", times=0, seconds=5)
    asked = ("rollout", "plan", *world.files, "--talos", MIDDLE, "--output", "json")
    plan = json.loads(world.lab.ok(*asked).stdout)
    assert (plan["waves"], plan["left_out"]) == ([["berlin"]], {})
