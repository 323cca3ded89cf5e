"""The snapshot before a way back: whatever keeps it from being taken is one plain no, which the core passes over."""

import asyncio

import pytest

from controller.app.context import Limits
from controller.app.upgrade.acts import Doing, _at_once, perform
from controller.app.upgrade.lease import Disruption
from controller.app.upgrade.reach import Reach
from controller.core.rollout.messages import Act, Result
from controller.core.rollout.model import Hop, HopKind
from inventory.errors import CheckFailed


def doing(services, kind: HopKind, cluster: str, seconds: float = 600) -> Doing:
    reach = Reach(services, cluster, Limits.default())
    hop = Hop(kind, "1.13.9", "1.13.8")
    act = Act("r/0/cp-1/snapshot/1", cluster, "cp-1", hop, "snapshot", 1, seconds)
    return Doing(reach, act, Disruption(reach, "r"))


async def test_a_cluster_that_can_not_give_one_is_told_plainly(services):
    outcome = await perform(doing(services, HopKind.BACK, "nowhere"))
    assert (outcome.result, "no cluster 'nowhere'" in outcome.detail) == (Result.FAILED, True)


async def test_one_that_does_not_come_is_not_waited_for(services):
    act = doing(services, HopKind.BACK, "berlin", seconds=0.02).act
    with pytest.raises(CheckFailed, match="no end in time"):
        await _at_once(asyncio.Event().wait(), act)
