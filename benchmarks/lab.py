"""Over the lab: applying to bare machines, a second apply, and how fast the program starts. Needs no rig.

The lab's simulated machines run in a process of their own on the same cores; its CPU is told apart.
"""

import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.facts import make_home
from benchmarks.measure import Result
from benchmarks.race import BIN, ROOT, Contender, Record, environment, race

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7NDwhPtBS24gASsk4xYhSY1UWnm5i+6TXLXovdqsP7"  # of no machine
RUNNER = "controller.runner"


def cli(record: Record, *, repeats: int) -> None:
    """Starting the program, against starting Python."""
    with tempfile.TemporaryDirectory(prefix="cto-bench-") as folder:
        home = Path(folder) / "home"
        make_home(home, [f"192.0.2.{n}" for n in range(1, 6)], host_key=KEY)
        env = {"CTO_HOME": str(home)}
        field = [
            Contender("python", [str(BIN / "python"), "-c", "pass"], _ended),
            Contender("cto --help", [str(BIN / "cto"), "--help"], _says(b"apply"), env),
            Contender("cto status", [str(BIN / "cto"), "status"], _says(b"pinned"), env),
        ]
        race(field, record, repeats=repeats, labels={"bench": "cli", "hosts": 0})


def _ended(result: Result) -> str:
    return f"exit status {result.status}" if result.status else ""


def _says(text: bytes) -> Callable[[Result], str]:
    return lambda result: _ended(result) or ("" if text in result.stdout.lower() else "does not say it")


@dataclass(frozen=True)
class Lab:
    home: Path
    pid: int
    machines: int

    def apply(self) -> Result:
        argv = [
            str(BIN / "cto"),
            "apply",
            "-f",
            str(self.home / "lab" / "site.yaml"),
            "--yes",
            "--output",
            "json",
        ]
        return measure.run(
            argv, env=environment(CTO_HOME=str(self.home)), cwd=ROOT, keep=[self.pid], marker=RUNNER
        )


@contextlib.contextmanager
def lab(sites: int, nodes: int) -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="cto-bench-") as folder:
        home = Path(folder) / "home"
        env = environment(CTO_HOME=str(home))
        up = [str(BIN / "cto"), "lab", "up", "--sites", str(sites), "--nodes", str(nodes), "--output", "json"]
        answer = json.loads(subprocess.run(up, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        try:
            yield Lab(home, answer["pid"], answer["machines"])
        finally:
            subprocess.run(
                [str(BIN / "cto"), "lab", "down"], env=env, cwd=ROOT, check=False, stdout=subprocess.DEVNULL
            )
            with contextlib.suppress(ChildProcessError):
                os.waitpid(answer["pid"], 0)  # its parent ended: it is ours


def installs(record: Record, *, sites: int, nodes: int, again: int = 0) -> None:
    """Bare lab machines become clusters; then `again` times an apply that has nothing to do."""
    with lab(sites, nodes) as machines:
        _recorded(record, machines, "apply", 1)
        _where_time_goes(machines.home)
        for number in range(1, again + 1):
            _recorded(record, machines, "apply again", number)


def _recorded(record: Record, machines: Lab, contender: str, number: int) -> None:
    before = measure.cpu(machines.pid)
    result = machines.apply()
    rss, anon = measure.memory(machines.pid)
    row: dict[str, Any] = {
        "bench": "lab",
        "hosts": machines.machines,
        "contender": contender,
        "repeat": number,
        **result.row(),
        "lab_cpu": round(measure.cpu(machines.pid) - before, 3),
        "lab_rss_mib": round(rss, 1),
        "lab_anon_mib": round(anon, 1),
    }
    problem = _applied(result)
    record.add(
        {**row, "problem": problem}
        if problem
        else {**row, "steps": steps(machines.home / "fleet.db") if contender == "apply" else {}}
    )


def _applied(result: Result) -> str:
    lines = [line for line in result.stdout.splitlines() if line.startswith(b"{")]
    state = json.loads(lines[-1]).get("state") if lines else "nothing"
    if result.status or state != "done":
        return f"exit status {result.status}, {state}: {(lines[-1] if lines else result.stderr)[-400:].decode('utf-8', 'replace')}"
    return ""


def steps(database: Path) -> dict[str, dict[str, float]]:
    """Of each step: how often, median, 95th percentile, longest and the sum of its seconds."""
    took: dict[str, list[float]] = defaultdict(list)
    with contextlib.closing(sqlite3.connect(database.absolute().as_uri() + "?mode=ro", uri=True)) as store:
        query = "SELECT kind, step, started_at, finished_at FROM steps WHERE outcome = 'done'"
        for kind, step, start, end in store.execute(query):
            took[f"{kind} {step}"].append(
                (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
            )
    return {name: _spread(seconds) for name, seconds in took.items()}


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3),
        "longest": round(ordered[-1], 3),
        "sum": round(sum(ordered), 3),
    }


def _where_time_goes(home: Path) -> None:
    print(step_table(steps(home / "fleet.db")), file=sys.stderr)


def step_table(found: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["| step | times | median s | p95 s | sum s |", "|---|---|---|---|---|"]
    for name, spread in sorted(found.items(), key=lambda item: -item[1]["sum"]):
        lines.append(
            f"| {name} | {spread['count']} | {spread['median']:.2f} | {spread['p95']:.2f} | {spread['sum']:.1f} |"
        )
    return "\n".join(lines)
