"""A plan is confirmed by the machines: as planned, not as planned, silent, or another one."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from controller.app.confirm import confirm
from controller.core.confirmation import CONFIRMED
from controller.core.plan import Change, DiskPlan, NodePlan
from controller.wiring import open_services
from tests.e2e.harness import Case

LONG = 120.0  # seconds; only a machine under heavy load needs them


def planned(case: Case) -> NodePlan:
    made = json.loads(case.ok("plan", "-f", str(case.site), "--output", "json").stdout)
    (node,) = made["nodes"]
    disk = DiskPlan(**{**node["disk"], "contents": ()})
    plan = NodePlan(node["name"], node["site"], node["cluster"], node["role"], node["state"], Change.INSTALL)
    return replace(plan, disk=disk)


def looked_at(case: Case, *nodes: NodePlan) -> Sequence[NodePlan]:
    with open_services(case.home) as services:

        async def run() -> Sequence[NodePlan]:
            try:
                return await confirm(services, nodes, seconds=LONG)
            finally:
                await services.aclose()

        return asyncio.run(run())


def test_the_machine_itself_confirms_what_is_planned(case: Case):
    node = planned(case)
    assert node.disk is not None
    other = replace(node, disk=replace(node.disk, serial="ANOTHER"))
    ready = replace(node, name="ready", change=Change.NOTHING)
    before = case.log(case.name)
    assert looked_at(case, node, ready) == [replace(node, confirmation=CONFIRMED), ready]
    (wrong,) = looked_at(case, other)
    assert (wrong.change, wrong.confirmation) == (Change.REFUSED, "")
    assert "another disk than the planned one" in wrong.refusals[0].reason
    asked = case.log(case.name)[len(before) :]
    assert [e for e in asked if e["event"] == "command" and e["argv"][0] in ("dd", "wipefs")] == []

    case.fault(case.name, "lie", at="date", times=0, stdout="1000000000\n")
    (late,) = looked_at(case, node)
    assert late.change is Change.REFUSED
    assert "behind" in late.refusals[0].reason


def test_a_silent_machine_is_planned_for_but_not_acted_on(case: Case):
    case.ok("plan", "-f", str(case.site))
    case.fault(case.name, "refuse", times=0, seconds=0)
    for arguments, reason in (((), "refused"), (("--offline",), "no machine was asked")):
        shown = case.ok("plan", "-f", str(case.site), "--output", "json", *arguments)
        (node,) = json.loads(shown.stdout)["nodes"]
        assert node["change"] == "install"
        assert node["confirmation"].startswith("unconfirmed: ")
        assert reason in node["confirmation"]
    refused = case.apply(code=2)
    assert "connection refused" in refused.stdout
