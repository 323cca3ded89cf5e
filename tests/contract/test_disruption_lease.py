"""The cluster's disruption lease: one controller's acts share it, another controller waits."""

import asyncio
from types import SimpleNamespace

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.kube import KubernetesApi
from controller.app.upgrade.lease import Disruption
from controller.app.upgrade.reach import NotSent
from tests.contract.kube_cluster import admin, running_plane


class Direct:
    """As `Reach`, with the one API server of the lab."""

    cluster = "lab"

    def __init__(self, machine) -> None:
        self.services = SimpleNamespace(kube=KubernetesApi(), clock=SystemClock())
        self._config, self._place = admin(machine), (machine.address, machine.kube_port)

    async def kube(self, call, *, but=""):
        return await call(self._config, *self._place)


@pytest.fixture
async def reach(site):
    return Direct(await running_plane(site))


async def test_two_acts_of_one_controller_have_it_at_once(reach):
    ours, theirs = Disruption(reach, "cto/a/r1"), Disruption(reach, "cto/b/r2")
    await asyncio.gather(*(ours.hold(seconds) for seconds in (30, 60, 90)))
    with pytest.raises(NotSent, match="cto/a/r1"):
        await theirs.hold(60)


async def test_another_controller_waits_until_it_is_given_back(reach):
    ours, theirs = Disruption(reach, "cto/a/r1"), Disruption(reach, "cto/b/r2")
    await ours.hold(60)
    with pytest.raises(NotSent, match="cto/a/r1 holds the cluster's disruption lease"):
        await theirs.hold(60)
    await ours.release()
    await theirs.hold(60)
    with pytest.raises(NotSent, match="cto/b/r2"):
        await ours.hold(60)


async def test_a_restarted_controller_has_what_it_had(reach):
    await Disruption(reach, "cto/a/r1").hold(60)
    await Disruption(reach, "cto/a/r1").hold(60)
    with pytest.raises(NotSent, match="cto/a/r1"):
        await Disruption(reach, "cto/b/r2").hold(60)
