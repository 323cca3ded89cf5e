"""A controller that was away: what it waited for is looked at once more before its deadline counts."""

from dataclasses import replace

import pytest

from controller.core.rollout.messages import Admission, NodeSeen, NodeView, Restarted
from controller.core.rollout.model import Mode, Phase, Policy, Stage, Target, Timing
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.core.rollout.step import step

NOW = 1_780_000_000.0


class Open:
    def frozen(self):
        return ""

    def admits(self, site, now, seconds):
        return Admission(True, until=now + 86400)


def waiting(name: str, stage: Stage):
    """One worker that was polled in `name` when the controller died, five seconds before its deadline."""
    policy = Policy(timing=Timing(look=2, soak=4, soak_deadline=30, verify=30, reboot=30))
    nodes = (Node("cp", True, "1.13.9", "1.36.3"), Node("w", False, "1.13.8", "1.36.3"))
    state = create("r", Target(talos="1.13.9"), replace(policy, accept_downtime=True), [Cluster("c", "s", nodes)], releases=Releases()).state  # fmt: skip
    cluster = state.clusters["c"]
    job = replace(
        cluster.nodes["w"],
        source="1.13.8", talos="1.13.9", stage=stage, step=name, mode=Mode.POLLING, boot_id="old",
        deadline=105.0, seen_clock=99.0, seen_at=NOW - 1, cordoned=name != "soak",
    )  # fmt: skip
    done = replace(cluster.nodes["cp"], stage=Stage.COMMITTED)
    cluster = replace(cluster, phase=Phase.RUNNING, nodes={"cp": done, "w": job})
    waves = (replace(state.waves[0], started=True), *state.waves[1:])
    return replace(state, clusters={"c": cluster}, waves=waves, clock=100.0, wall=NOW)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("soak", Stage.SOAKING), ("verify", Stage.VERIFYING), ("reboot", Stage.REBOOTING)],
)
def test_a_deadline_that_passed_meanwhile_is_not_held_against_the_node(name, stage):
    """The controller was away for 50 s: nobody looked, so nothing is known of the node."""
    state = waiting(name, stage)
    after, intents, _ = step(state, [Restarted()], NOW + 50, Open())
    assert after.clusters["c"].nodes["w"].stage is stage
    assert intents  # it is looked at
    view = NodeView("w", True, "1.13.9", "1.36.3", boot_id="new", ready=True, healthy=True)
    after, _, _ = step(after, [NodeSeen("c", NOW + 51, view)], NOW + 51, Open())
    assert after.clusters["c"].nodes["w"].stage in (Stage.VERIFYING, Stage.SOAKING)


def test_one_that_stays_silent_then_still_ends():
    state = waiting("verify", Stage.VERIFYING)
    after, _, _ = step(state, [Restarted()], NOW + 50, Open())
    for second in range(55, 200, 5):
        after, _, _ = step(after, [], NOW + second, Open())
    assert after.clusters["c"].nodes["w"].stage is Stage.NEEDS_HANDS
