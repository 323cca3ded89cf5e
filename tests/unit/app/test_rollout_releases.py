"""What a rollout makes of the trusted feed: stops, targets, and what its publisher withdrew. A real store."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.app import rollout_releases as releases
from controller.app.rollout_gates import StoreGates
from controller.core.rollout.model import Policy, Target
from controller.core.rollout.planning import Cluster, Node, create
from controller.store.updates import ReleaseRow
from inventory.errors import OperatorError, RefusedError


def row(name: str, counter: int, channel: str = "stable", *, floor: int = 0, upgrades: tuple[str, ...] = ()):
    kind, _, version = name.partition("-")
    body = {
        "format": "cto-release/v1", "kind": kind, "version": version, "counter": counter, "floor": floor,
        "upgrades": list(upgrades), "notes": "", "artifacts": [],
    }  # fmt: skip
    return ReleaseRow(channel, name, json.dumps(body), "", "")


@pytest.fixture
def offers(store):
    """`offers(row(…), …)`: the feed is trusted and offers just these."""

    def accept(*rows: ReleaseRow) -> None:
        if store.feed() is None:
            store.set_feed("https://feed.invalid", "stable", "{}", actor="test", reason="test")
        floors = {each.channel: json.loads(each.body)["floor"] for each in rows}
        store.accept_feed({}, rows, floors)

    return accept


def cluster(talos: str = "1.11.6", kubernetes: str = "1.34.1") -> Cluster:
    return Cluster("c", "berlin", tuple(Node(f"c-{i}", i < 3, talos, kubernetes) for i in range(4)))


def planned(feed: releases.Published, target: Target, *via: str, talos: str = "1.11.6"):
    found = releases.stops(feed, via, [cluster(talos)])
    made = create("r", target, Policy(), [cluster(talos)], releases=found.releases)
    return made, found.used(made.state)


def way(made) -> list[str]:
    return [hop.version for each in made.state.clusters.values() for hop in each.hops]


def test_without_a_feed_the_version_we_were_tested_with_is_a_stop_and_said_so(services):
    feed = releases.published(services, "stable")
    made, used = planned(feed, Target(talos="1.13.9"))
    assert way(made) == ["1.12.7", "1.13.9"]
    assert used == {"talos 1.12.7": "built in"}


def test_releases_of_the_policy_s_channel_are_stops(services, offers):
    offers(row("talos-1.12.9", 1), row("talos-1.13.9", 2), row("talos-1.12.10", 3, "beta"))
    made, used = planned(releases.published(services, "stable"), Target(talos="1.13.9"))
    assert (way(made), used) == (["1.12.9", "1.13.9"], {"talos 1.12.9": "published"})
    made, _ = planned(releases.published(services, "beta"), Target(talos="1.13.9"))
    assert way(made) == ["1.12.10", "1.13.9"]


def test_what_was_named_comes_first_then_the_feed_then_what_runs(services, offers):
    offers(row("talos-1.12.9", 1))
    feed = releases.published(services, "stable")
    _, used = planned(feed, Target(talos="1.13.9"), "1.12.7")
    assert used == {"talos 1.12.7": "named"}
    fleet = [cluster("1.11.6"), cluster("1.12.11")]
    assert releases.stops(feed, (), fleet).talos == {
        "1.12.9": "published",
        "1.11.6": "running",
    }


def test_where_the_feed_speaks_of_talos_nothing_is_made_up(services, offers):
    offers(row("talos-1.13.9", 1))
    made, _ = planned(releases.published(services, "stable"), Target(talos="1.13.9"))
    assert "no release of 1.12 is known" in made.left_out["c"]
    # Of Kubernetes it says nothing: what each Talos starts with is a stop.
    found = releases.stops(releases.published(services, "stable"), (), [cluster()])
    assert found.kubernetes["1.35.4"] == "built in"


def test_a_step_that_its_publisher_does_not_allow_is_not_planned(services, offers):
    offers(row("talos-1.12.9", 1, upgrades=("1.11", "1.12")), row("talos-1.13.9", 2, upgrades=("1.13",)))
    made, _ = planned(releases.published(services, "stable"), Target(talos="1.13.9"))
    assert "1.13.9 from 1.13" in made.left_out["c"]
    offers(row("talos-1.12.9", 1, upgrades=("1.11",)), row("talos-1.13.9", 2, upgrades=("1.12", "1.13")))
    made, _ = planned(releases.published(services, "stable"), Target(talos="1.13.9"))
    assert way(made) == ["1.12.9", "1.13.9"]


@pytest.mark.parametrize("part", ["talos", "kubernetes"])
def test_a_withdrawn_release_is_neither_a_target_nor_a_stop(services, offers, part):
    """Below the floor, whether as a target, by --via, or because it runs somewhere."""
    version = {"talos": "1.12.9", "kubernetes": "1.35.4"}[part]
    offers(row(f"{part}-{version}", 1), row(f"{part}-1.99.1", 2, floor=2))
    feed = releases.published(services, "stable")
    with pytest.raises(RefusedError, match=f"withdrew {part}-{version}") as refused:
        releases.aimed(feed, Target(**{part: version}), ())
    assert "cto update list" in refused.value.fix
    with pytest.raises(RefusedError, match=f"withdrew {part}-{version}"):
        releases.aimed(feed, Target(talos="1.13.9"), (version,))
    found = releases.stops(feed, (), [cluster("1.12.9", "1.35.4")])
    assert version not in getattr(found, part)


def test_one_that_was_withdrawn_after_it_was_planned_is_not_begun(services, offers):
    offers(row("talos-1.12.9", 1), row("talos-1.13.9", 2))
    made, _ = planned(releases.published(services, "stable"), Target(talos="1.13.9"))
    releases.check_again(services, "stable", made.state)
    offers(row("talos-1.12.9", 1), row("talos-1.13.9", 2), row("talos-1.13.10", 3, floor=2))
    with pytest.raises(RefusedError, match=r"withdrew talos-1\.12\.9"):
        releases.check_again(services, "stable", made.state)


def test_a_release_counts_as_withdrawn_only_where_no_good_channel_says_otherwise(services, offers):
    offers(
        row("talos-1.13.9", 1),
        row("talos-1.13.9", 1, "beta"),
        row("talos-1.14.0", 2, "beta"),
        row("talos-1.14.1", 3, "beta", floor=2),
    )
    stable, beta = releases.published(services, "stable"), releases.published(services, "beta")
    assert (stable.withdrawn, beta.withdrawn) == (frozenset(), {"talos-1.13.9"})
    assert stable.elsewhere == {"talos-1.14.0": "beta", "talos-1.14.1": "beta"}
    offers(row("talos-1.13.9", 1), row("talos-1.14.0", 2, "beta"), row("talos-1.14.1", 3, "beta", floor=3))
    assert releases.published(services, "stable").withdrawn == {"talos-1.14.0"}


def test_an_unknown_target_is_doubted_and_not_refused(services, offers):
    target = Target(talos="1.13.9", kubernetes="1.36.3")
    assert releases.doubts(releases.published(services, "stable"), target) == []
    offers()
    feed = releases.published(services, "stable")
    assert releases.doubts(feed, Target(talos="1.13.9")) == [
        "nothing is known of channel stable: cto update check"
    ]
    offers(row("talos-1.13.8", 1), row("talos-1.13.9", 2, "edge"), row("talos-1.13.7", 3, "beta"))
    feed = releases.published(services, "stable")
    assert releases.doubts(feed, target) == ["talos-1.13.9 is in channel edge, and the policy's is stable"]
    assert releases.doubts(feed, Target(talos="1.14.1")) == [
        "talos-1.14.1 is not among the publisher's releases of channel stable"
    ]
    assert releases.doubts(feed, Target(talos="1.13.8")) == []


def test_without_a_target_it_is_the_newest_release_of_the_channel(services, offers):
    with pytest.raises(OperatorError, match="no target is named") as refused:
        releases.aimed(releases.published(services, "stable"), Target(), ())
    assert "cto update list" in refused.value.fix
    offers(
        row("kubernetes-1.36.3", 1),
        row("talos-1.13.10", 2),
        row("talos-1.12.12", 3),  # published later, and older
        row("talos-1.14.1", 4, "beta"),
    )
    stable, beta = releases.published(services, "stable"), releases.published(services, "beta")
    assert releases.aimed(stable, Target(), ()) == (Target(talos="1.13.10"), "stable")
    assert releases.aimed(beta, Target(), ()) == (Target(talos="1.14.1"), "beta")
    assert releases.aimed(stable, Target(talos="1.13.9"), ()) == (Target(talos="1.13.9"), "")
    offers(row("kubernetes-1.36.3", 1))
    feed = releases.published(services, "stable")
    assert releases.aimed(feed, Target(), ()) == (Target(kubernetes="1.36.3"), "stable")


def test_what_is_withdrawn_on_the_way_begins_nothing_more_but_a_way_back(services, offers):
    services.store.set_feed("https://feed.invalid", "stable", "{}", actor="test", reason="test")
    offers(row("talos-1.12.9", 1), row("talos-1.13.9", 2))
    made, _ = planned(releases.published(services, "stable"), Target(talos="1.13.9"))
    watch = releases.Withdrawals("stable")
    assert watch.why(services, made.state) == ""
    services.clock.at += timedelta(hours=1)
    offers(row("talos-1.12.9", 1), row("talos-1.13.9", 2), row("talos-1.13.10", 3, floor=2))
    why = watch.why(services, made.state)
    assert "withdrew talos-1.12.9" in why
    assert "cto rollout abort" in why
    gates = StoreGates(services, reserve=0, durations=(), last=None, withdrawn=why)
    assert gates.frozen() == why
    assert releases.Withdrawals("stable").why(services, replace(made.state, remedy=True)) == ""
    assert releases.Withdrawals("").why(services, made.state) == ""
    # A stop that all clusters are past holds nothing back.
    past = {name: replace(each, hop=1) for name, each in made.state.clusters.items()}
    assert releases.Withdrawals("stable").why(services, replace(made.state, clusters=past)) == ""
