"""etcd as people are shown it: by what was read, with its age; never from the states of nodes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import etcd_seen
from web.ports import ClusterView, NodeView

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NODES = [
    NodeView(name, "s", "c", role, "ready", "10.0.0.1", seen_at=NOW.isoformat())
    for name, role in (
        ("cp-1", "controlplane"),
        ("cp-2", "controlplane"),
        ("cp-3", "appliance"),
        ("w", "worker"),
    )
]


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).isoformat()


def one(name, *, leader=False, learner=False, problem=""):
    return {"name": name, "leader": leader, "learner": learner, "problem": problem}


def read(*members, age=30, **more):
    etcd = {"at": ago(age), "members": list(members), "agree": 3, "asked": 3, "silent": {}, **more}
    return ClusterView("c", "s", "ready", "", "1.36.3", 4, 4, etcd=etcd)


def shown(cluster):
    return etcd_seen.etcd(cluster, NODES, NOW)


def test_what_was_never_read_is_not_known_however_ready_the_nodes_are():
    seen = shown(ClusterView("c", "s", "ready", "", "1.36.3", 4, 4))
    assert (seen.badge.tone, seen.badge.label) == ("unknown", "not known: never read")
    assert [(m.name, m.role) for m in seen.members] == [(f"cp-{n}", "not known") for n in (1, 2, 3)]
    assert etcd_seen.marks(seen, etcd_seen.Cordons("", (), known=False)) == {}


def test_roles_are_those_that_were_read():
    seen = shown(read(one("cp-1", leader=True), one("cp-2", learner=True), one("stranger")))
    assert [(m.name, m.role, m.known) for m in seen.members] == [
        ("cp-1", "leader", True),
        ("cp-2", "learner", True),
        ("stranger", "member", False),
        ("cp-3", "not a member", True),
    ]
    assert (seen.voters, seen.well, seen.needed) == (2, 2, 2)
    cordoned = etcd_seen.Cordons(ago(1), ("cp-1", "w"), known=True)
    assert etcd_seen.marks(seen, cordoned) == {
        "cp-1": "etcd leader · cordoned",
        "cp-2": "etcd learner",
        "stranger": "etcd member",
        "cp-3": "not in etcd",
        "w": "cordoned",
    }


def test_what_is_old_is_not_known_and_not_marked():
    seen = shown(read(one("cp-1", leader=True), age=700))
    assert (seen.badge.tone, seen.badge.label) == ("unknown", "not known: read 11 min ago")
    assert {m.badge.tone for m in seen.members} == {"unknown"}
    assert set(etcd_seen.marks(seen, etcd_seen.Cordons("", (), known=False)).values()) == {"etcd: not known"}


@pytest.mark.parametrize(
    ("ill", "size", "tone"),
    [
        (0, 1, "good"),
        (0, 2, "warn"),
        (0, 3, "good"),
        (1, 3, "warn"),
        (2, 3, "bad"),
        (1, 5, "warn"),
        (3, 5, "bad"),
        (0, 0, "bad"),
    ],
)
def test_quorum_is_of_members_that_vote(ill, size, tone):
    members = [one(f"cp-{n}", problem="is not started" if n < ill else "") for n in range(size)]
    assert shown(read(*members)).badge.tone == tone


def test_who_does_not_agree_is_told():
    assert etcd_seen.agreement(shown(read(one("cp-1")))) == ""
    told = etcd_seen.agreement(shown(read(one("cp-1"), agree=2)))
    assert told == "only 2 of 3 control planes list the same members"
    silent = shown(read(silent={"cp-1": "no answer"}, agree=0))
    assert silent.silent == {"cp-1": "no answer"}


def test_cordons_that_are_old_are_not_known():
    view = ClusterView("c", "s", "ready", "", "", 1, 1, cordons={"at": ago(700), "nodes": ["cp-1"]})
    assert etcd_seen.cordons(view, NOW) == etcd_seen.Cordons(ago(700), ("cp-1",), known=False)
    seen = shown(read(one("cp-1", leader=True)))
    assert etcd_seen.marks(seen, etcd_seen.cordons(view, NOW))["cp-1"] == "etcd leader"


@pytest.mark.parametrize(
    ("reason", "actor", "text"),
    [
        ("schedule", "engine", "from cp-1, on schedule, by the controller"),
        ("by hand", "user:anna", "from cp-1, by hand, by user:anna"),
        ("by hand", "", "from cp-1, by hand, by whom was not written down"),
    ],
)
def test_a_snapshot_says_where_from_why_and_by_whom(reason, actor, text):
    assert etcd_seen.snapshot_origin({"node": "cp-1", "reason": reason, "actor": actor}) == text


@given(
    st.lists(st.tuples(st.text(max_size=8), st.booleans(), st.booleans(), st.text(max_size=8)), max_size=9)
)
def test_nothing_ill_is_green(rows):
    members = [one(name, leader=a, learner=b, problem=problem) for name, a, b, problem in rows]
    seen = shown(read(*members))
    if not seen.voters or seen.well < seen.needed:
        assert seen.badge.tone == "bad"
    if seen.well < seen.voters:
        assert seen.badge.tone != "good"
