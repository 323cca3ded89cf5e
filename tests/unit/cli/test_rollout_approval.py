"""`cto rollout approve` and `withdraw`: whoever started a rollout is not the second person, unless there is none."""

from dataclasses import replace

import pytest

from controller.core.rollout.codec import dump_cluster, dump_head, load_parts
from controller.core.rollout.model import Policy, Target
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.store.rollouts import NewRollout
from web.access.grants import Grant

WHY = ("--reason", "the canary looks good")


@pytest.fixture
def kept(make_store):
    """A rollout that local:ada started, each wave of which is to be approved."""
    nodes = tuple(Node(f"n{i}", True, "1.13.8", "1.36.1") for i in range(3))
    planned = create(
        "r1",
        Target(talos="1.13.9"),
        Policy(approval="each-wave"),
        [Cluster("c", "berlin", nodes)],
        releases=Releases(("1.13.8", "1.13.9")),
    )
    state = replace(planned.state, started_by="local:ada")
    clusters = tuple((c.name, c.site, dump_cluster(c)) for c in state.clusters.values())
    with make_store() as store:
        store.create_rollout(
            NewRollout("r1", "local:ada", "November", "running", dump_head(state), {}, clusters, {})
        )
    return make_store


def wave(make_store):
    with make_store() as store:
        row = store.rollout("r1")
        return load_parts(row.head, store.rollout_bodies("r1").values()).waves[0]


def audit(make_store):
    with make_store() as store:
        rows = store._rows("SELECT actor, action FROM audit ORDER BY seq")
        return [(row["actor"], row["action"]) for row in rows if "rollout" in row["action"]]


def people(make_store, *names):
    with make_store() as store:
        for name in names:
            store.add_account(name, [Grant.parse("operator")], actor="local:ada")
            store.set_password(name, "$argon2id$composed", actor="local:ada")


def test_alone_it_counts_after_ten_minutes_and_can_be_withdrawn(cto, kept):
    ran = cto("rollout", "approve", "--wave", "1", *WHY)
    assert ran.code == 0
    assert "nobody else could approve it: it counts after ten minutes" in ran.out
    assert "cto rollout withdraw r1 --wave 1" in ran.out
    assert (wave(kept).approved_by, wave(kept).holds_from) == ("local:ada", 600.0)
    assert cto("rollout", "withdraw", "--wave", "1", *WHY).code == 0
    assert wave(kept).approved_by == ""
    assert audit(kept)[-2:] == [
        ("local:ada", "rollout approve-alone"),
        ("local:ada", "rollout withdraw"),
    ]


def test_another_person_at_this_computer_approves_at_once(cto, kept):
    assert cto("rollout", "approve", "--wave", "1", *WHY, environ={"USER": "bob"}).code == 0
    assert (wave(kept).approved_by, wave(kept).holds_from) == ("local:bob", 0.0)
    assert audit(kept)[-1] == ("local:bob", "rollout approve")


def test_where_others_could_whoever_started_it_can_not(cto, kept):
    people(kept, "anna", "otto")
    ran = cto("rollout", "approve", "--wave", "1", *WHY)
    assert ran.code == 2
    assert "whoever started a rollout can't approve its waves" in ran.err
    assert "let another person approve" in ran.err
    assert wave(kept).approved_by == ""


def test_one_account_is_nobody_else(cto, kept):
    people(kept, "anna")
    assert cto("rollout", "approve", "--wave", "1", *WHY).code == 0
    assert wave(kept).holds_from == 600.0
