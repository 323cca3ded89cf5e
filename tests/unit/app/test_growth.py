"""Who may join a cluster in use, when, and what keeps it waiting: the decisions of growth, over peers in memory."""

import asyncio
import os
from datetime import timedelta

import pytest

from controller.app.context import Limits
from controller.app.growth import Growth, growth_of, running_as_declared
from controller.app.removal import describe_removal, remove, unfinished
from controller.app.run import jobs_of
from controller.app.windows import declare_calendars, freeze
from controller.store import StepRef
from inventory.calendar import MaintenanceWindow, SiteCalendar
from inventory.errors import CheckFailed, RefusedError
from inventory.fleet import Cluster, Fleet, Node, Site
from inventory.lifecycle import CLUSTER_TRANSITIONS, NodeState, remaining
from tests.unit.app.conftest import SetClock
from tests.unit.app.etcd_peers import Kube, Machines

NAMES = ("a", "b", "c", "d", "w")
ADDRESS = {name: f"10.0.0.{number}" for number, name in enumerate(NAMES, 1)}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"


class Yielding(SetClock):
    """Others get their turn while somebody waits."""

    async def sleep(self, seconds):
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Place:
    """A cluster in use with `a` in it; the others are prepared up to the reboot."""

    def __init__(self, services, bundle):
        services.__dict__["clock"] = self.clock = Yielding()
        self.services, self.store = services, services.store  # which keeps to this clock from now on
        self.machines, self.kube = Machines(names={at: name for name, at in ADDRESS.items()}), Kube()
        services.__dict__.update(ssh=self.machines, talos=self.machines, kube=self.kube)
        services.bundles["berlin"] = bundle
        nodes = {
            name: Node(
                name,
                "berlin",
                "berlin",
                "worker" if name == "w" else "controlplane",
                address=at,
            )
            for name, at in ADDRESS.items()
        }
        cluster = Cluster("berlin", "berlin", "https://10.0.0.1:6443", "1.36.3", NAMES)
        site = Site("berlin", "acme", "UTC", ("berlin",))
        self.fleet = Fleet("acme", {"berlin": site}, {"berlin": cluster}, nodes)
        self.store.declare(self.fleet, actor="test")
        self.store.put_secret("cluster/berlin/kubeconfig", b"{}")
        self.store.start_engine(os.getpid())
        self.run = self.store.queue_run("apply", {}, actor="test", options={})
        for name in NAMES:
            self.store.pin(name, address=ADDRESS[name], host_key=KEY, actor="test", reason="test")
            self.machines.boots[ADDRESS[name]] = f"boot-{name}"
            ahead = remaining(NodeState.PINNED, until=NodeState.READY if name == "a" else NodeState.BOOT_SET)
            self.did("node", name, *(t.step for t in ahead))
        self.did("cluster", "berlin", *(t.step for t in CLUSTER_TRANSITIONS))
        self.machines.joins(ADDRESS["a"])
        self.clock.at += timedelta(hours=1)  # the cluster has been stable for long
        self.jobs = {
            j.node.name: j for j in jobs_of(services, self.run, self.fleet, cluster, Limits.default())
        }

    def did(self, kind, name, *steps):
        for step in steps:
            began = self.store.begin(StepRef(self.run, kind, name, step), detail={})
            self.store.finish(began, outcome="done", detail={})

    def told_to_reboot(self, name, boot):
        """By a controller that died before it could record what became of it."""
        began = self.store.begin(StepRef(self.run, "node", name, "reboot"), detail={"boot_id": boot})
        self.store.finish(began, outcome="indeterminate", detail={})

    def joined(self, name):
        self.machines.joins(ADDRESS[name])
        self.did("node", name, "reboot", "join", "clean", "verify")

    def growth(self, *newcomers, absent=()):
        made = Growth(self.services, "berlin", newcomers, absent)
        for name in newcomers:
            self.jobs[name].growth = made
        return made

    def events(self, kind):
        return [e.subject for e in self.services.queries.events() if e.kind == kind]


@pytest.fixture
def place(services, bundle, monkeypatch):
    monkeypatch.delenv("CTO_STABLE_SECONDS", raising=False)
    monkeypatch.delenv("CTO_WAIT_LIMIT", raising=False)
    return Place(services, bundle)


async def begun(growth, job):
    """The turn of a machine, as far as it goes without anybody else."""
    task = asyncio.ensure_future(growth.turn(job))
    for _ in range(20):
        await asyncio.sleep(0)
    return task


def test_a_cluster_that_was_never_verified_grows_without_this(place, services):
    jobs = tuple(place.jobs.values())
    assert growth_of(services, "nowhere", jobs, NAMES) is None
    assert growth_of(services, "berlin", jobs, ("a", "w")) is None  # nobody new among the control planes


def test_the_newcomers_are_those_of_this_run_and_the_others_are_missed(place, services):
    found = growth_of(services, "berlin", tuple(place.jobs.values()), ("a", "c", "b", "w"))
    assert found is not None
    assert (found.newcomers, found.absent) == (("b", "c"), ("d",))
    assert [name for name, job in place.jobs.items() if job.growth is found] == ["b", "c", "d"]


async def test_nobody_joins_while_another_newcomer_is_left_out(place):
    growth = place.growth("b", absent=("c", "d"))
    with pytest.raises(RefusedError, match="c, d is to join as well"):
        await growth.turn(place.jobs["b"])
    assert place.machines.snapshots == []


async def test_the_first_goes_when_all_are_there_and_the_second_when_the_first_votes(place):
    growth = place.growth("b", "c")
    first = await begun(growth, place.jobs["b"])
    assert not first.done()
    second = await begun(growth, place.jobs["c"])
    await first
    assert not second.done()
    assert place.machines.snapshots == ["a"]
    assert [row.reason for row in place.store.snapshots("berlin")] == ["before b joins"]
    assert place.events("MemberWaits") == place.events("MemberAdmitted") == ["node/b"]
    assert place.kube.seen.holder == f"cto/{place.store.controller_id()}/membership"

    place.did("node", "b", "reboot", "join", "clean", "verify")
    place.machines.joins(ADDRESS["b"], learner=True)
    waits = asyncio.ensure_future(growth.passed("b"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not second.done()  # etcd has not promoted it
    place.machines.members[ADDRESS["b"]].learner = False
    await waits
    await second
    assert place.events("MemberPromoted") == ["node/b"]
    assert place.events("MemberAdmitted") == ["node/b", "node/c"]
    await growth.failed("c", "it is enough")
    assert place.kube.seen.holder == ""


async def test_the_cluster_has_to_be_stable_first(place):
    place.joined("b")
    before = place.clock.now()
    await place.growth("c").turn(place.jobs["c"])
    assert timedelta(seconds=120) <= place.clock.now() - before < timedelta(seconds=125)


async def test_a_member_that_is_ill_keeps_everybody_out(place):
    place.joined("b")
    place.joined("c")
    place.machines.members[ADDRESS["b"]].running = False
    growth = place.growth("d")
    with pytest.raises(
        CheckFailed, match="b is not started, and d joins only when every member is well"
    ) as why:
        await growth.turn(place.jobs["d"])
    assert "run cto apply again" in why.value.fix
    await growth.failed("d", why.value.what)
    assert place.events("MemberAdmitted") == []
    assert place.kube.seen.holder == ""


async def test_it_is_asked_again_right_before_the_order(place):
    place.joined("b")
    place.joined("c")
    growth = place.growth("d")
    await growth.turn(place.jobs["d"])
    await growth.still("d")
    place.machines.members[ADDRESS["a"]].running = False
    with pytest.raises(RefusedError, match="a is not started"):
        await growth.still("d")


async def test_one_that_fails_stops_those_behind_it(place):
    growth = place.growth("b", "c")
    waits = await begun(growth, place.jobs["c"])
    await growth.failed("b", "its disk is dead")
    with pytest.raises(RefusedError, match=r"b did not come through \(its disk is dead\)"):
        await waits
    assert place.machines.snapshots == []


async def test_one_that_another_controller_disturbs_is_left_alone(place):
    place.kube.seen = Kube("somebody", place.clock.at.timestamp() + 600).seen
    with pytest.raises(RefusedError, match="somebody holds the cluster's disruption lease"):
        await place.growth("b").turn(place.jobs["b"])
    assert place.machines.snapshots == []


@pytest.mark.parametrize("state", ["boot-set", "booting"])
async def test_one_that_was_told_to_boot_by_a_run_that_died_goes_first_and_is_not_asked(place, state):
    """It may be a member already: then no reading is whole before it was waited for."""
    place.told_to_reboot("c", "boot-c")
    place.machines.joins(ADDRESS["c"], learner=True)
    if state == "booting":
        place.did("node", "c", "reboot")
    growth = place.growth("b", "c")
    await growth.turn(place.jobs["c"])  # though b did not come so far yet
    assert place.machines.snapshots == []
    second = await begun(growth, place.jobs["b"])
    assert not second.done()
    second.cancel()


async def test_one_whose_order_got_lost_waits_like_the_others(place):
    place.told_to_reboot("b", "boot-b")  # and it still shows that boot
    await place.growth("b").turn(place.jobs["b"])
    assert place.machines.snapshots == ["a"]


async def test_the_running_ones_are_as_declared_first(place):
    growth = place.growth("b")
    failed: dict[str, object] = {}
    gate = asyncio.get_running_loop().create_future()
    growth.begin(tuple(place.jobs.values()), {"a": gate}, failed)
    waits = await begun(growth, place.jobs["b"])
    assert not waits.done()
    failed["node/a"] = {"what": "it does not answer"}
    gate.set_result(None)
    with pytest.raises(RefusedError, match="a is not as declared"):
        await waits


async def test_one_that_is_refused_before_it_is_begun_is_not_as_declared_either():
    with pytest.raises(RefusedError, match="a is not as declared"):
        await running_as_declared(("a",), (), {"node/a": {}})
    await running_as_declared(("a",), (), {"node/b": {}})


NIGHT = MaintenanceWindow("night", ("berlin",), "", ("Tue",), "02:00", 60, "03:00")


async def test_it_joins_in_a_window_only(place, services):
    declare_calendars(services, [SiteCalendar("berlin", "UTC", (NIGHT,))], actor="test")
    growth = place.growth("b", "c")
    waits = [await begun(growth, place.jobs[name]) for name in ("b", "c")]
    with pytest.raises(RefusedError, match="berlin is closed: outside its maintenance windows"):
        await waits[0]
    assert place.machines.snapshots == []
    waits[1].cancel()


async def test_all_of_them_have_to_fit_into_it(place, services):
    declare_calendars(services, [SiteCalendar("berlin", "UTC", (NIGHT,))], actor="test")
    place.clock.at = place.clock.at.replace(day=3, hour=2, minute=51)
    growth = place.growth("b", "c")
    waits = [await begun(growth, place.jobs[name]) for name in ("b", "c")]
    with pytest.raises(RefusedError, match="its window has 9 min left, and this may take 12 min"):
        await waits[0]
    waits[1].cancel()


async def test_the_way_out_of_an_even_number_is_not_held_but_by_a_freeze(place, services):
    declare_calendars(services, [SiteCalendar("berlin", "UTC", (NIGHT,))], actor="test")
    place.joined("b")
    place.clock.at += timedelta(hours=1)
    growth = place.growth("c")
    await growth.turn(place.jobs["c"])
    freeze(services, reason="audit week", actor="anna")
    with pytest.raises(RefusedError, match="frozen by anna"):
        await growth.still("c")


async def test_a_node_leaves_in_a_window_only(place, services):
    declare_calendars(services, [SiteCalendar("berlin", "UTC", (NIGHT,))], actor="test")
    place.joined("b")
    place.joined("c")
    with pytest.raises(RefusedError, match="berlin is closed: outside its maintenance windows"):
        await describe_removal(services, "c", dead=False)
    with pytest.raises(RefusedError, match="berlin is closed"):
        await remove(services, place.run, "c", dead=False)
    place.clock.at = place.clock.at.replace(day=3, hour=2, minute=10)
    told = await describe_removal(services, "c", dead=False)
    assert "c leaves: 2 members, quorum 2, any failure stops etcd" in told.lines


async def test_what_is_dead_or_begun_or_one_too_many_leaves_at_any_time_but_in_a_freeze(place, services):
    declare_calendars(services, [SiteCalendar("berlin", "UTC", (NIGHT,))], actor="test")
    place.joined("b")
    place.joined("c")
    place.joined("d")
    await describe_removal(services, "c", dead=False)  # four: one too many
    place.machines.members[ADDRESS["d"]].running = False
    await describe_removal(services, "d", dead=True)
    frozen = freeze(services, reason="audit week", actor="anna")
    for name, dead in (("c", False), ("d", True)):
        with pytest.raises(RefusedError, match="frozen by anna"):
            await describe_removal(services, name, dead=dead)
    place.machines.members[ADDRESS["d"]].running = True
    began = place.store.begin(StepRef(place.run, "cluster", "berlin", "drain-node"), detail={"node": "c"})
    place.store.finish(began, outcome="done", detail={})
    assert unfinished(services, place.store.node("c"))
    await describe_removal(services, "c", dead=False)  # it is on its way
    gone = place.store.begin(StepRef(place.run, "cluster", "berlin", "forget-node"), detail={"node": "c"})
    place.store.finish(gone, outcome="done", detail={})
    assert not unfinished(services, place.store.node("c"))
    with pytest.raises(RefusedError, match=frozen.reason):
        await describe_removal(services, "c", dead=False)
