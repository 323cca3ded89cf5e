"""What a look at a cluster keeps: roles of etcd's members, cordoned nodes, and nothing that was not read."""

import pytest

from controller.app.context import Limits
from controller.app.etcd_reading import Answer, Seen
from controller.app.looking import keep_seen, look, told
from controller.app.stored import stored_jobs
from controller.core.quorum import MemberRead
from controller.core.rollout.messages import ClusterSeen
from tests.unit.app.test_etcd_reading import member, status
from tests.unit.app.test_growth import ADDRESS, Place


@pytest.fixture
def place(services, bundle):
    made = Place(services, bundle)
    if ADDRESS["a"] not in made.machines.members:
        made.machines.joins(ADDRESS["a"])
    return made


async def seen(place):
    store = place.store
    jobs = stored_jobs(place.services, store.cluster("berlin"), Limits.default())
    await look(place.services, "berlin", jobs)
    (cluster,) = place.services.queries.clusters()
    return cluster


async def test_a_look_keeps_roles_and_cordons_with_their_time(place):
    place.kube.nodes_seen = {"a": True, "w": False}
    cluster = await seen(place)
    at = cluster.etcd["at"]
    assert at.startswith("2026-")
    assert cluster.etcd["members"] == [{"name": "a", "leader": True, "learner": False, "problem": ""}]
    assert (cluster.etcd["agree"], cluster.etcd["asked"], cluster.etcd["silent"]) == (1, 1, {})
    assert cluster.cordons["nodes"] == ["a"]


async def test_what_is_uncordoned_is_so_at_the_next_look(place):
    place.kube.nodes_seen = {"a": True}
    await seen(place)
    place.kube.nodes_seen = {"a": False}
    assert (await seen(place)).cordons["nodes"] == []


async def test_where_kubernetes_is_silent_the_last_look_stays_with_its_age(place):
    place.kube.nodes_seen = {"a": True}
    before = await seen(place)
    place.kube.answers = False
    await place.clock.sleep(900)
    after = await seen(place)
    assert after.cordons == before.cordons
    assert after.etcd["at"] > before.etcd["at"]


async def test_where_nobody_lists_members_each_says_why(place):
    place.machines.members[ADDRESS["a"]].running = False
    cluster = await seen(place)
    assert cluster.etcd["members"] == []
    assert cluster.etcd["silent"] == {"a": "no answer"}


async def test_a_cluster_without_a_control_plane_that_lives_is_not_read(place):
    await look(place.services, "berlin", ())
    (cluster,) = place.services.queries.clusters()
    assert (cluster.etcd, cluster.cordons, cluster.snapshot) == ({}, {}, {})


def _answer(number, leader):
    both = (member(1, "cp-1"), member(2, "cp-2"))
    return Answer(f"cp-{number}", "", both, status(number, leader=leader), (), 0.1)


@pytest.mark.parametrize(("said", "leads"), [((2, 2), [False, True]), ((1, 2), [False, False])])
def test_of_two_opinions_on_the_leader_none_is_kept(services, said, leads):
    answers = tuple(_answer(number, leader) for number, leader in enumerate(said, 1))
    read = told(Seen(services.clock.monotonic(), answers, answers[0].members, 2), services)
    assert [one["leader"] for one in read["members"]] == leads


async def test_what_a_rollout_read_is_kept_as_well(place):
    place.kube.nodes_seen = {"a": True}
    before = await seen(place)
    members = (MemberRead("a", started=True), MemberRead("b", started=False, learner=True))
    blind = ClusterSeen("berlin", 1.0, (), members, 1, leader="a", problem="Kubernetes API: no answer")
    await place.clock.sleep(60)
    keep_seen(place.services, blind)
    (after,) = place.services.queries.clusters()
    assert [(m["name"], m["leader"], m["learner"]) for m in after.etcd["members"]] == [
        ("a", True, False),
        ("b", False, True),
    ]
    assert after.etcd["at"] > before.etcd["at"]
    assert after.cordons == before.cordons  # Kubernetes did not answer it
    keep_seen(place.services, ClusterSeen("berlin", 1.0, (), (), 0))
    (last,) = place.services.queries.clusters()
    assert last.etcd == after.etcd  # nobody listed members: nothing was learnt
    assert last.cordons["nodes"] == []
