"""A running lab cluster is taken over from another home by its bundle alone, and its nodes see only reads.

Its configurations are compared, and changed only after somebody said that they may be.
"""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.e2e.harness import LabHome, ProgramHome

READS = {"Version", "ServiceList", "EtcdMemberList", "Get", "List", "Hostname", "EtcdStatus"}


@pytest.fixture
def lab():
    made = LabHome(Path(tempfile.mkdtemp(prefix="cto-adopt-")))
    try:
        made.up("2", seed=str(made.home))
        yield made
    finally:
        made.cto("lab", "down")
        shutil.rmtree(made.home, ignore_errors=True)


def test_adopt_reads_only(lab, tmp_path):
    lab.apply()
    cluster = lab.rows("SELECT name FROM clusters")[0]["name"]
    names = [row["name"] for row in lab.rows("SELECT name FROM nodes ORDER BY name")]
    bundle = tmp_path / "bundle.yaml"
    lab.ok("secrets", "export", cluster, "--out", str(bundle))
    assert bundle.stat().st_mode & 0o777 == 0o600
    before = {name: len(lab.log(name)) for name in names}

    fresh = ProgramHome(tmp_path / "other")
    wrong = ProgramHome(tmp_path / "wrong")
    wrong.ok("secrets", "create", cluster, "--output-file", str(tmp_path / "wrong.yaml"))
    site = ("-f", str(lab.site))
    refused = fresh.cto("cluster", "adopt", cluster, *site, "--secrets", str(tmp_path / "wrong.yaml"))
    assert refused.returncode == 4, refused.stderr
    assert fresh.rows("SELECT name FROM nodes") == []

    args = ("cluster", "adopt", cluster, *site, "--secrets", str(bundle), "--output", "json")
    adopted = json.loads(fresh.ok(*args).stdout)
    assert [node["name"] for node in adopted["nodes"]] == names
    assert {node["talos"] for node in adopted["nodes"]} == {"1.13.9"}
    fresh.ok(*args)  # said twice

    plan = json.loads(fresh.ok("plan", *site, "--output", "json").stdout)
    assert plan["changes"] == 0
    assert "not delivered by us" in "\n".join(plan["warnings"])
    fresh.ok("apply", *site, "--yes")
    assert {fresh.node_state(name) for name in names} == {"ready"}
    assert fresh.cluster_state(cluster) == "ready"
    kube = fresh.ok("cluster", "kubeconfig", cluster, "--stdout").stdout
    assert "client-certificate-data" in kube
    fresh.check_store()

    for name in names:
        calls = [event for event in lab.log(name)[before[name] :] if event.get("event") == "talos"]
        assert calls, "it was read"
        assert {event.get("call") for event in calls} <= READS, calls

    changes_only_when_told(lab, fresh, cluster, names, tmp_path / "changed.yaml")


def changes_only_when_told(lab, fresh, cluster, names, changed):
    """In the same cluster as above, since making one takes its time."""
    documents = list(yaml.safe_load_all(lab.site.read_text()))
    for document in documents:
        if document["kind"] == "Cluster":
            settings = document["spec"].setdefault("defaults", {}).setdefault("settings", {})
            settings["sysctls"] = {"vm.max_map_count": 262144}
    changed.write_text(yaml.safe_dump_all(documents))
    site = ("-f", str(changed))

    plan = json.loads(fresh.ok("plan", *site, "--output", "json").stdout)
    assert plan["changes"] == 0
    for node in plan["nodes"]:
        assert '+        vm.max_map_count: "262144"' in node["config_diff"], node
        changed_lines = [line for line in node["config_diff"].splitlines()[2:] if line[0] in "+-"]
        assert len(changed_lines) == 2, changed_lines  # nothing else differs from what was installed
        assert f"cto cluster manage {cluster}" in " ".join(node["notes"])
    fresh.ok("apply", *site, "--yes")
    assert not any(applied(lab, name) for name in names)

    told = json.loads(fresh.ok("cluster", "manage", cluster, "--output", "json").stdout)
    assert told == {"cluster": cluster, "managed": True, "nodes": names}
    plan = json.loads(fresh.ok("plan", *site, "--output", "json").stdout)
    assert [node["change"] for node in plan["nodes"]] == ["reconfigure"] * len(names)
    fresh.ok("apply", *site, "--yes")
    assert all(applied(lab, name) for name in names)
    after = json.loads(fresh.ok("plan", *site, "--output", "json").stdout)
    assert [node["config_diff"] for node in after["nodes"]] == [""] * len(names)
    assert after["changes"] == 0

    a_rotation_begins_and_ends(fresh, cluster, names, site, changed.parent)
    fresh.ok("cluster", "manage", cluster, "--leave")
    plan = json.loads(fresh.ok("plan", "-f", str(lab.site), "--output", "json").stdout)
    assert plan["changes"] == 0
    assert '-        vm.max_map_count: "262144"' in plan["nodes"][0]["config_diff"]


def a_rotation_begins_and_ends(fresh, cluster, names, site, folder):
    """Another authority is accepted besides, on every node, and then no more; each time the plan shows it."""
    plain, both = folder / "plain.yaml", folder / "both.yaml"
    fresh.ok("secrets", "export", cluster, "--out", str(plain))
    other = yaml.safe_load((folder / "wrong.yaml").read_text())["certs"]
    accepted = {name: [other[name]["crt"]] for name in ("os", "k8s")}
    both.write_text(yaml.safe_dump(yaml.safe_load(plain.read_text()) | {"acceptedcas": accepted}))
    for file, sign in ((both, "+"), (plain, "-")):
        fresh.ok("secrets", "import", cluster, str(file))
        plan = json.loads(fresh.ok("plan", *site, "--output", "json").stdout)
        assert [node["change"] for node in plan["nodes"]] == ["reconfigure"] * len(names)
        for node in plan["nodes"]:
            told = [line for line in node["config_diff"].splitlines()[2:] if line[0] in "+-"]
            assert [line for line in told if line.startswith(sign) and "acceptedCAs" in line], told
            assert {line[0] for line in told} == {sign}
        fresh.ok("apply", *site, "--yes")
        after = json.loads(fresh.ok("plan", *site, "--output", "json").stdout)
        assert after["changes"] == 0, after["nodes"]


def applied(lab, name):
    """Was it given a configuration by the API? They were installed by other means."""
    return any(event.get("event") == "talos-applied" for event in lab.log(name))
