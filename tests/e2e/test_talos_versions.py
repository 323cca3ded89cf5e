"""A cluster of each form of configuration, from bare machines to ready, and a change afterwards."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.e2e.harness import LabHome


def with_sysctl(lab: LabHome) -> None:
    documents = list(yaml.safe_load_all(lab.site.read_text()))
    for document in documents:
        if document["kind"] == "Organization":
            document["spec"]["defaults"]["settings"]["sysctls"] = {"vm.max_map_count": "262144"}
    lab.site.write_text(yaml.safe_dump_all(documents))


def planned(lab: LabHome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.ok("plan", "-f", str(lab.site), "--output", "json").stdout)
    return found


@pytest.mark.parametrize("talos", ["1.11.6", "1.14.1"])  # 1.13.9 is what all other tests have
def test_from_bare_machines_to_a_change(make_lab: Callable[..., LabHome], talos: str) -> None:
    lab = make_lab("2", "--talos", talos)
    lab.apply()
    rows = lab.rows("SELECT state, talos FROM nodes")
    assert [(row["state"], row["talos"]) for row in rows] == [("ready", talos)] * 2
    with_sysctl(lab)
    for node in planned(lab)["nodes"]:
        assert (node["change"], node["reboot"]) == ("reconfigure", "no reboot")
        assert "vm.max_map_count" in node["config_diff"]
        assert ("kind: SysctlConfig" in node["config_diff"]) is (talos == "1.14.1")
        assert "PRIVATE KEY" not in node["config_diff"]
    lab.apply()
    assert planned(lab)["changes"] == 0
    if talos == "1.11.6":  # its file then names the next minor, which has another form: a rollout's matter
        lab.site.write_text(lab.site.read_text().replace(talos, "1.12.7"))
        later = planned(lab)
        assert later["changes"] == 0
        assert all("versions change by rollout" in " ".join(node["notes"]) for node in later["nodes"])
    lab.check_store()
