"""A rollout goes by what its publisher says: targets, stops, and what was withdrawn. One lab, one real feed."""

import json

import pytest

from tests.e2e.harness import ended, until
from tests.e2e.rollout_harness import ONCE, Rollouts
from tests.peers_feed import Feed


def waits(world: Rollouts) -> str:
    found = world.lab.rows("SELECT summary FROM rollouts ORDER BY rowid DESC LIMIT 1")
    return json.dumps(json.loads(found[0]["summary"])["waits"]) if found else ""


pytestmark = pytest.mark.slow
OLD = "1.11.6"


def test_two_minors_without_naming_a_stop(make_lab, tmp_path):
    lab = make_lab("1", "--talos", OLD)
    lab.apply()
    world = Rollouts(lab)

    def plan(*args: str):
        return json.loads(lab.ok("rollout", "plan", *world.files, *args, "--output", "json").stdout)

    # Nobody is trusted: the stop is the version that the program was tested with, and the plan says so.
    made = plan("--talos", "1.13.9")
    assert [hop["version"] for hop in made["clusters"][0]["hops"]] == ["1.12.7", "1.13.9"]
    assert made["stops"] == {"talos 1.12.7": "built in"}
    text = lab.ok("rollout", "plan", *world.files, "--talos", "1.13.9").stdout
    assert "no feed speaks of it" in text
    said = lab.expect(2, "rollout", "plan", *world.files).stderr
    assert "no target is named" in said

    feed = Feed(tmp_path / "feed")
    feed.release("1.13.9", 1)
    feed.release("1.12.9", 2, upgrades=["1.11", "1.12"])
    feed.publish()
    lab.ok("update", "trust", str(feed.first_root), "--url", str(feed.folder), "--yes")
    lab.ok("update", "check")
    assert "cto rollout start --talos 1.13.9" in lab.ok("rollout", "plan", *world.files).stdout
    made = plan()  # the newest release of the policy's channel
    assert made["target"] == {"talos": "1.13.9"}
    assert made["stops"] == {"talos 1.12.9": "published"}
    assert "1.14.1 is not among the publisher's releases" in " ".join(plan("--talos", "1.14.1")["warnings"])

    world.declare(window={"validFrom": "2001-01-01", "validUntil": "2001-01-02"})
    with ended(lab.start(*world.begin("--talos", "1.13.9"))) as process:
        until(lambda: "outside its" in waits(world), "waiting for a window", seconds=120)
        feed.release("1.13.10", 3, floor=2, upgrades=["1.12", "1.13"])
        feed.publish()
        lab.ok("update", "check")
        until(lambda: "withdrew talos-1.13.9" in waits(world), "the rollout to say why", seconds=120)
        lab.ok("rollout", "abort", "--reason", "it was withdrawn")
        process.wait(timeout=120)
    world.declare()
    for words in (("rollout", "plan", *world.files, "--talos", "1.13.9"), world.begin("--talos", "1.13.9")):
        assert "withdrew talos-1.13.9" in lab.expect(2, *words).stderr
    assert len(lab.rows("SELECT id FROM rollouts")) == 1

    before = world.calls("berlin-1")
    done = world.run("--talos", "1.13.10")
    assert done["status"] == "succeeded"
    assert lab.rows("SELECT talos FROM nodes") == [{"talos": "1.13.10"}]
    assert [act["step"] for act in world.acts(done["id"]) if act["step"] in ONCE] == ["upgrade", "upgrade"]
    assert world.calls("berlin-1") - before == {"Upgrade": 2}

    # Now that all of them are withdrawn, the way back is open still; etcd is saved before it.
    feed.release("1.14.1", 4, floor=4)
    feed.publish()
    lab.ok("update", "check")
    assert len(world.events("ReleaseWithdrawn")) == 3
    words = ("rollout", "rollback", done["id"], "--reason", "it hums", "--yes", "--output", "json")
    lab.ok(*words, timeout=240)
    steps = [act["step"] for act in world.acts(world.status()["id"])]
    assert (steps[0], steps.count("back")) == ("snapshot", 1)
    assert lab.rows("SELECT talos FROM nodes") == [{"talos": "1.12.9"}]
    world.check_store()
