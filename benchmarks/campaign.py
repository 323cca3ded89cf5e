"""`python -m benchmarks.campaign`: every comparison of docs/performance.md, about 25 minutes on a quiet machine.

Each part is a run of `python -m benchmarks` of its own, whose figures stay in artifacts/bench/campaign: started again after
an interruption it goes on with the parts that are missing, `--fresh` begins anew. At the end the summary is written to
benchmarks/results/DATE.json and the figures of docs/performance.md are made from it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report, table
from benchmarks.race import ROOT, TOOLS

FOLDER = ROOT / "artifacts" / "bench" / "campaign"
PAGE = ROOT / "docs" / "performance.md"
QUIET = 0.7  # load per core above which figures are not worth their paper


@dataclass(frozen=True)
class Part:
    name: str
    minutes: float  # on a quiet machine of two cores
    arguments: Sequence[str]


def _part(name: str, minutes: float, arguments: str) -> Part:
    return Part(name, minutes, arguments.split())


PARTS = (
    _part("cli", 0.2, "cli --repeats 21"),
    _part("facts-200", 3.6, "facts --hosts 200 --only bare bare-our-cipher cto pyinfra --repeats 5"),
    _part("facts-small", 4.0, "facts --hosts 1 50 --repeats 3"),
    _part("facts-200-ansible", 2.6, "facts --hosts 200 --only bare cto ansible --repeats 1 --no-warm-up"),
    _part("open", 1.3, "open --repeats 3"),
    _part("noop", 1.2, "noop --hosts 10 50 --only floor cto pyinfra --repeats 3"),
    _part("noop-ansible", 4.5, "noop --hosts 50 --only floor cto ansible --repeats 1"),
    _part("apply", 4.0, "apply --repeats 3"),
    _part("demo", 1.0, "demo --repeats 5"),
    _part("lab-200", 1.5, "lab-200 --repeats 3"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaign", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"only these: {', '.join(p.name for p in PARTS)}")
    parser.add_argument("--fresh", action="store_true", help="forget parts that were measured")
    parser.add_argument("--report", action="store_true", help="measure nothing, write results and figures")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"), help="name of the results' file")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    if not options.report:
        if not (TOOLS / "ansible").exists():
            raise SystemExit(
                "run benchmarks/contenders.sh first: it makes the environment of Ansible and pyinfra"
            )
        for part in PARTS:
            if not options.parts or part.name in options.parts:
                measure(part)
    finish(options.date)


def measure(part: Part) -> None:
    """Runs one part unless its figures are there. A part that fails leaves none and ends the campaign."""
    done, half = FOLDER / f"{part.name}.jsonl", FOLDER / f"{part.name}.part"
    if done.exists():
        print(f"{part.name}: measured already", flush=True)
        return
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"{part.name}: about {part.minutes:g} minutes; load per core {load:.2f}", flush=True)
    if load > QUIET:
        print("  the machine is not quiet: ratios will be worse than they are", flush=True)
    half.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "benchmarks", *part.arguments, "--out", str(half)]
    subprocess.run(argv, cwd=ROOT, check=True)
    half.rename(done)


def finish(date: str) -> None:
    """The summary of all parts that were measured, and the page's figures made from it."""
    entries = table.summarize(table.read(sorted(FOLDER.glob("*.jsonl"))))
    file = table.save(entries, ROOT / "benchmarks" / "results" / f"{date}.json", date=date)
    made = json.loads(file.read_text())
    PAGE.write_text(report.update(PAGE.read_text(), report.figures(made)))
    print(f"wrote {file.relative_to(ROOT)} and the figures of {Path(PAGE).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
