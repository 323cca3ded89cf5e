"""Measuring real processes, and the table made of what was measured."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import lab, measure, table

SPIN = "import time\nwhile time.process_time() < 0.2: pass\n"
DAEMON = f"""
import os, time
reader, writer = os.pipe()
if os.fork():
    os.read(reader, 1)  # the helper has worked
    os._exit(0)
os.setsid()
{SPIN}
os.write(writer, b"x")
time.sleep(60)
"""
CHILD = """
import json, os, sys
from pathlib import Path
from benchmarks import measure
measure.become_subreaper()
got = measure.run([sys.executable, "-c", sys.argv[1]], env=os.environ, cwd=Path.cwd(), marker=sys.argv[2])
print(json.dumps(got.row()))
"""


def run(program: str, marker: str = "") -> dict[str, float]:
    """In a process of its own: being a subreaper is not for the test runner."""
    import json

    argv = [sys.executable, "-c", CHILD, program, marker]
    cwd = Path(__file__).resolve().parents[3]
    return json.loads(subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout)


def test_cpu_status_and_memory_of_a_process() -> None:
    row = run(f"{SPIN}x = b'1' * 50_000_000\nraise SystemExit(3)")
    assert row["status"] == 3
    assert row["cpu"] >= 0.2
    assert row["peak_mib"] > 48


def test_children_that_match_are_counted() -> None:
    starts = "import subprocess, sys\nfor _ in range(2): subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.5)  # mark'])"
    assert run(starts, "# mark")["helpers"] == 2


def test_a_helper_that_outlives_its_parent_is_ended_and_its_cpu_counts() -> None:
    row = run(DAEMON)
    assert row["status"] == 0
    assert row["cpu"] >= 0.2


def test_own_cpu_is_read_from_proc() -> None:
    assert measure.cpu(os.getpid()) > 0


def test_the_peak_of_a_tree_is_no_less_than_what_it_holds_now() -> None:
    now, _ = measure.memory(os.getpid())
    assert measure.most_memory(os.getpid()) >= now > 0


def row(contender: str, wall: float, **more: object) -> dict[str, object]:
    return {
        "bench": "facts",
        "kex": "equal",
        "hosts": 10,
        "contender": contender,
        "wall": wall,
        "cpu": wall / 2,
        **more,
    }


def test_ratios_are_of_medians_and_minima_and_failed_runs_do_not_count() -> None:
    rows = [row("bare", w) for w in (1, 2, 9)] + [row("cto", w) for w in (3, 4, 5)]
    entries = table.summarize([*rows, row("cto", 0.1, problem="wrong"), row("ansible", 1, problem="wrong")])
    cto = next(e for e in entries if e["contender"] == "cto")
    assert (cto["runs"], cto["failed"], cto["wall"]) == (3, 1, {"min": 3, "median": 4})
    assert (cto["ratios"]["wall median"], cto["ratios"]["wall min"]) == (2, 3)
    text = table.markdown(entries)
    assert "3 (+1 failed)" in text
    assert "| ansible | 0 (+1 failed) |" in text


def test_steps_are_spread() -> None:
    assert lab._spread([1, 2, 3, 4]) == {"count": 4, "median": 2.5, "p95": 4, "longest": 4, "sum": 10}
