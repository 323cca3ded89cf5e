"""The plan as people read it: disk and why, what is lost, steps, refusals."""

from controller.cli.commands.plan import show
from controller.core.plan import Change, DiskPlan, NodePlan, PatchPlan, Refusal, StepPlan, assemble

STEPS = (
    StepPlan("prepare", "prepare and check the machine", 4, True),
    StepPlan("join", "wait for the Talos API", 120, False),
)


def node(**fields):
    base = {
        "name": "cp-1",
        "site": "berlin",
        "cluster": "b",
        "role": "controlplane",
        "state": "pinned",
        "change": Change.INSTALL,
    }
    return NodePlan(**{**base, **fields})


def shown(capsys, *nodes, warnings=()):
    show(assemble(nodes, [], warnings=warnings).to_dict())
    return capsys.readouterr().out


def test_an_install_says_which_disk_why_and_what_is_lost(capsys):
    disk = DiskPlan(
        "/dev/disk/by-id/x", "S1", 480 * 10**9, "BOSS-N1", "the only NVMe disk", ("GPT, 2 partitions",)
    )
    out = shown(
        capsys,
        node(
            steps=STEPS, disk=disk, talos="1.13.9", image="https://i", profile="r660", config_digest="ab" * 32
        ),
    )
    for part in (
        "install",
        "BOSS-N1",
        "the only NVMe disk",
        "GPT, 2 partitions",
        "will be lost",
        "1.13.9",
        "r660",
        "abababab",
        "2, about 2 min",
        "! prepare and check the machine (4 s)",
    ):
        assert part in out
    assert "1 to change" in out


def test_a_patch_that_many_nodes_have_is_told_once(capsys):
    patch = PatchPlan("site", "site berlin", "b.yaml:7", "machine:\n    env:\n        A: b\n")
    own = PatchPlan("node", "node cp-2", "b.yaml:30", "cluster: {}\n")
    out = shown(capsys, node(patches=(patch,)), node(name="cp-2", patches=(patch, own)))
    assert out.count("A: b") == 1
    assert "patch     site berlin  (b.yaml:7)" in out
    assert "patch     site berlin  (b.yaml:7; as above)" in out
    assert "patch     node cp-2  (b.yaml:30)" in out


def test_a_refusal_says_why_and_what_would_help(capsys):
    out = shown(
        capsys,
        node(change=Change.REFUSED, refusals=(Refusal("no disk is large enough", "name another disk"),)),
    )
    assert "no disk is large enough" in out
    assert "→ name another disk" in out
    assert "1 refused" in out


def test_nothing_to_do_is_short(capsys):
    out = shown(capsys, node(change=Change.NOTHING, state="ready"))
    assert out.splitlines() == ["Nothing to do: 1 node as the site files say."]


def test_a_changed_configuration_shows_its_difference(capsys):
    out = shown(
        capsys,
        node(
            change=Change.RECONFIGURE,
            state="ready",
            steps=STEPS,
            config_diff="-a: 1\n+a: 2\x1b[2J",
            reboot="no reboot",
        ),
    )
    assert "-a: 1" in out
    assert "no reboot" in out
    assert "\x1b[2J" not in out


def test_warnings_are_shown(capsys):
    assert "two control planes" in shown(capsys, node(steps=STEPS), warnings=["two control planes"])
