"""The demo as a new user meets it, and 200 simulated machines at once in little memory. Needs no rig.

The lab shares the cores with what is measured; its memory counts.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import measure
from benchmarks.facts import cto_answer
from benchmarks.lab import RUNNER, Lab, lab
from benchmarks.measure import Result
from benchmarks.race import BIN, ROOT, Record, environment
from iso.lab import client

SITES, NODES = 20, 10


def demo(record: Record, *, repeats: int) -> None:
    """`cto demo --once`, each time from an empty home; wall time is all of it, taking the lab down included."""
    for number in range(1, repeats + 1):
        with tempfile.TemporaryDirectory(prefix="cto-bench-") as home:
            argv = [str(BIN / "cto"), "demo", "--once", "--output", "json"]
            result = measure.run(argv, env=environment(CTO_HOME=home), cwd=ROOT, marker=RUNNER)
        row = {"bench": "demo", "hosts": 5, "contender": "cto demo --once", "repeat": number, **result.row()}
        record.add({**row, "problem": problem} if (problem := verified(result)) else row)


def verified(result: Result) -> str:
    said = _lines(result)[-1:]
    good = bool(said) and said[0]["clusters"] == said[0]["verified"] == 2
    return (
        "" if good and not result.status else f"exit status {result.status}: {said or result.stderr[-300:]!r}"
    )


def crowd(record: Record, *, repeats: int) -> None:
    """200 machines of the lab at once, all of which are seen by mDNS and asked for facts by SSH."""
    with lab(SITES, NODES) as machines:
        info = client.info(machines.home)
        seen = all_seen({each.enroll_id: each.address for each in info.machines} if info else {})
        for number in range(1, repeats + 1):
            _asked(record, machines, number, "cto discover", ["discover", "--seconds", "15"], seen)
            _asked(
                record, machines, number, "cto facts gather", ["facts", "gather"], cto_answer(SITES * NODES)
            )


def _asked(
    record: Record,
    machines: Lab,
    number: int,
    contender: str,
    command: list[str],
    wrong: Callable[[Result], str],
) -> None:
    argv = [str(BIN / "cto"), *command, "--output", "json"]
    before = measure.cpu(machines.pid)
    result = measure.run(argv, env=environment(CTO_HOME=str(machines.home)), cwd=ROOT, keep=[machines.pid])
    most = measure.most_memory(machines.pid)
    row = {
        "bench": "lab-200",
        "hosts": machines.machines,
        "contender": contender,
        "repeat": number,
        **result.row(),
        "lab_cpu": round(measure.cpu(machines.pid) - before, 3),
        "lab_rss_mib": round(most, 1),
        # Not at the same moment, so the true peak is below.
        "all_rss_mib": round(most + result.rss_mib, 1),
    }
    record.add({**row, "problem": problem} if (problem := wrong(result)) else row)


def all_seen(machines: Mapping[str, str]) -> Callable[[Result], str]:
    """The last list has each machine (address by enrolment id) once, at its address, in no conflict.

    Somebody else's lab on the same loopback interface announces itself too: what is not ours does not count.
    """

    def check(result: Result) -> str:
        lists = _lines(result)
        found = [item for item in lists[-1]["seen"] if item["enroll_id"] in machines] if lists else []
        good = {
            item["enroll_id"]
            for item in found
            if not item["conflict"] and machines[item["enroll_id"]] in item["addresses"]
        }
        if result.status or len(good) != len(machines) or len(found) != len(good):
            return f"exit status {result.status}, {len(good)} of {len(machines)} seen, {len(found)} entries"
        return ""

    return check


def _lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith(b"{")]
