"""Other system extensions by a rollout: the schematic changes, the version stays; without it, it is kept."""

from tests.e2e.rollout_harness import Rollouts

NEW, OTHER = "5" * 64, "7" * 64


def test_a_schematic_is_rolled_out_seen_on_the_node_and_kept_by_the_next_upgrade(make_lab) -> None:
    world = Rollouts(make_lab("1", "--talos", "1.13.8"))
    world.lab.ok("apply", "-f", world.lab.site, "--yes")
    refused = world.lab.expect(2, *world.begin("--schematic", "iscsi-tools"))
    assert "64 hex digits" in refused.stderr
    done = world.run("--schematic", NEW)
    assert (done["status"], done["facts"]["target"]) == ("succeeded", {"schematic": NEW})
    (node,) = world.nodes(done)
    assert [act["step"] for act in world.acts(done["id"], node) if act["step"] in ("install", "reboot")] == [
        "install",
        "reboot",
    ]
    again = world.lab.ok("rollout", "plan", *world.files, "--schematic", NEW).stdout
    assert "it runs the target already" in again
    world.run("--talos", "1.13.9")
    kept = world.lab.ok("rollout", "plan", *world.files, "--schematic", NEW, "--output", "json").stdout
    assert "it runs the target already" in kept
    # What went by version alone goes back; what did not change its version can't.
    back = world.lab.expect(2, "rollout", "rollback", done["id"], "--reason", "a test", "--yes")
    assert "no node runs what it brought" in back.stderr or "version did not change" in back.stderr
