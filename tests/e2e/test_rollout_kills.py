"""A controller that dies at every moment of every step of a rollout, and one that dies again and again.

The moments are made from the table of ways, so that a step that is added is not forgotten. Each kill is awaited:
a moment that is not reached fails its test. What was done to a node is counted by the lab.
"""

from collections.abc import Iterator

import pytest

from benchmarks.rollout_lab import for_acts, killed
from benchmarks.rollout_world import World
from controller.core.rollout.model import HopKind
from controller.core.rollout.routes import ROUTES
from inventory.lifecycle import KILL_POINTS
from tests.e2e.harness import KILLED, LabHome
from tests.e2e.rollout_harness import Rollouts

pytestmark = [pytest.mark.slow, pytest.mark.fault]
OLD, MIDDLE, NEW = "1.12.11", "1.13.9", "1.14.1"
KUBERNETES = "1.36.4"
_READS = ("verify", "soak")  # they only look: nothing is ordered in them
_AT_ONCE = 3  # kills at one node: one that is begun anew too often needs hands

Moments = tuple[str, ...]


def moments(steps: Moments, point: str) -> list[Moments]:
    """For each node the moments at which the controller dies while it is under way, in the order of its way."""
    named = [f"{step}:{point}" for step in steps]
    if point == "before_intent":
        return [tuple(named)]  # nothing was stored: it is as if it had never come so far
    return [tuple(named[i : i + _AT_ONCE]) for i in range(0, len(named), _AT_ONCE)]


def ordered(kind: HopKind) -> Moments:
    return tuple(step for step in ROUTES[kind] if step not in _READS)


LEGACY = {point: moments(ordered(HopKind.TALOS_LEGACY), point) for point in KILL_POINTS}
# Of the other way, what is not the same step in another dress; a stage pulls an image only here.
LIFECYCLE = {point: moments(("stage", "install", "reboot"), point) for point in KILL_POINTS}
PATCH: list[Moments] = [
    ("patch:before_intent", "patch:after_effect"),
    ("patch:after_intent", "patch:after_observe"),
]
BACK: list[Moments] = [
    ("back:before_intent", "back:after_effect"),
    ("back:after_intent", "back:after_observe"),
]


def test_no_moment_is_forgotten():
    every = {f"{s}:{p}" for kind in ROUTES for s in ordered(kind) for p in KILL_POINTS}
    tried = [group for table in (LEGACY, LIFECYCLE) for groups in table.values() for group in groups]
    assert {moment for group in (*tried, *PATCH, *BACK) for moment in group} == every


@pytest.fixture
def installed(make_lab):
    def build(count: int, talos: str) -> Rollouts:
        lab: LabHome = make_lab(",".join(["1"] * count), "--talos", talos)
        lab.apply()
        return Rollouts(lab, reboot=15, install=20)

    return build


def killed_at(world: Rollouts, first: tuple[str, ...], group: Moments) -> None:
    """Begins, dies at each moment in turn, and goes on to the end."""
    environments: Iterator[dict[str, str]] = ({"CTO_CRASH_AT": f"rollout-{moment}"} for moment in group)
    world.lab.expect(KILLED, *first, env=next(environments), timeout=240)
    for environment in environments:
        world.go_on(code=KILLED, env=environment)
    world.go_on()
    assert world.status()["status"] == "succeeded"


@pytest.mark.parametrize("point", KILL_POINTS)
@pytest.mark.parametrize(
    ("was", "target", "table"), [(OLD, MIDDLE, LEGACY), (MIDDLE, NEW, LIFECYCLE)], ids=["legacy", "lifecycle"]
)
def test_killed_on_the_way_to_another_talos(installed, was, target, table, point):
    """Nothing is installed or restarted twice."""
    groups = table[point]
    world = installed(len(groups), was)
    for machine, group in zip(world.lab.info().machines, groups, strict=True):
        killed_at(world, world.begin("--talos", target, "--cluster", machine.cluster), group)
        once = {"Upgrade": 1} if target == MIDDLE else {"Upgrade": 1, "Reboot": 1}
        assert world.calls(machine.name) == once
    assert world.lab.rows("SELECT DISTINCT talos FROM nodes") == [{"talos": target}]
    world.check_store()


def test_killed_on_the_way_to_another_kubernetes(installed):
    """The configuration is delivered once for the control plane and once for the kubelet."""
    world = installed(len(PATCH), MIDDLE)
    for machine, group in zip(world.lab.info().machines, PATCH, strict=True):
        before = len(applied(world, machine.name))
        killed_at(world, world.begin("--kubernetes", KUBERNETES, "--cluster", machine.cluster), group)
        assert len(applied(world, machine.name)) == before + 2
        assert world.calls(machine.name) == {}
    world.check_store()


def applied(world: Rollouts, machine: str) -> list[str]:
    return [event["mode"] for event in world.lab.log(machine) if event["event"] == "talos-applied"]


def test_killed_on_the_way_back(installed):
    """Rollback toggles between two systems: once more would lead forward again."""
    world = installed(len(BACK), OLD)
    for machine, group in zip(world.lab.info().machines, BACK, strict=True):
        done = world.run("--talos", MIDDLE, "--cluster", machine.cluster)
        words = ("rollout", "rollback", done["id"], "--reason", "a test", "--yes", "--output", "json")
        killed_at(world, words, group)
        assert world.calls(machine.name) == {"Upgrade": 1, "Rollback": 1}
    assert world.lab.rows("SELECT DISTINCT talos FROM nodes") == [{"talos": OLD}]
    world.check_store()


def test_killed_again_and_again(make_lab):
    """Two hops over twelve nodes at three sites, by both ways, while the controller dies every few seconds: judged
    by what the lab's machines saw, as the big run in docs/reports/rollout-lab.md is.
    """
    lab: LabHome = make_lab("5,4,3", "--talos", OLD)
    lab.apply()
    rollouts = Rollouts(lab)
    patient = dict.fromkeys(("drain", "install", "reboot", "verify", "soak_deadline"), 40)
    rollouts.declare(waves=(10, 100), look=2, soak=2, bake=2, guard_wait=600, late_failure=600, **patient)
    world = World(lab.home, lab.site, rollouts.updates)
    assert killed(world, NEW, MIDDLE, alive=for_acts, minutes=(8, 2)) > 2
    rollouts.check_store()
