"""A cluster in use is changed while its site is open: else the plan says so, and nothing is touched."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from inventory.lifecycle import NodeState
from tests.e2e.harness import Case

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def with_window(case: Case, *, open_now: bool) -> None:
    """A window of an hour a week, which is open or begins in three days; and a change of what the node runs with."""
    now = datetime.now(UTC)
    day = now - timedelta(hours=1) if open_now else now + timedelta(days=3)
    spec = {
        "days": [DAYS[day.weekday()]],
        "timezone": "UTC",
        "start": f"{day:%H:%M}",
        "duration": "24h" if open_now else "1h",
    }
    documents = [d for d in yaml.safe_load_all(case.site.read_text()) if d["kind"] != "MaintenanceWindow"]
    window = {
        "apiVersion": "fleet/v1",
        "kind": "MaintenanceWindow",
        "metadata": {"name": "week"},
        "spec": spec,
    }
    case.site.write_text(yaml.safe_dump_all([*documents, window]))


def with_sysctl(case: Case, value: str) -> None:
    documents = list(yaml.safe_load_all(case.site.read_text()))
    organization = next(d for d in documents if d["kind"] == "Organization")
    organization["spec"]["defaults"]["settings"]["sysctls"] = {"vm.max_map_count": value}
    case.site.write_text(yaml.safe_dump_all(documents))


@pytest.mark.fault
def test_what_runs_is_changed_in_a_window_only(case: Case):
    with_window(case, open_now=False)
    case.apply()  # a first installation disturbs nobody
    assert case.node_state(case.name) == NodeState.READY
    with_sysctl(case, "262144")
    shown = " ".join(case.ok("plan", "-f", str(case.site)).stdout.split())
    assert "not now, but for preparing what is new: site" in shown
    refused = " ".join(case.apply(code=4).stdout.split())
    assert "is closed: outside its maintenance windows" in refused
    assert case.effect().applied == 0
    assert "cto window override" in case.ok("node", "show", case.name).stdout

    with_window(case, open_now=True)
    case.apply()
    assert case.effect().applied == 1

    case.ok("window", "freeze", "--reason", "audit week")
    with_sysctl(case, "262145")
    assert "audit week" in case.apply(code=4).stdout
    assert case.effect().applied == 1
    case.ok("window", "unfreeze", "--reason", "it is over")
    case.apply()
    assert case.effect().applied == 2
    case.check_store()
