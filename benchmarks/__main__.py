"""`python -m benchmarks [facts] [open] [noop] [cli] [apply] [demo] [lab-200]`: measures, writes JSON lines, prints tables.

Without names: everything, which takes about half an hour because of Ansible. It needs root for the rig's sshd.
"""

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import measure, table
from benchmarks.race import ROOT, TOOLS, Record
from benchmarks.rig import PORTS, rig

NAMES = ("facts", "open", "noop", "cli", "apply", "demo", "lab-200")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="which; default: all")
    parser.add_argument("--hosts", type=int, nargs="*", help="sizes instead of the usual ones")
    parser.add_argument("--kex", nargs="*", choices=list(PORTS), default=list(PORTS))
    parser.add_argument("--only", nargs="*", default=[], help="contenders")
    parser.add_argument("--no-warm-up", action="store_true", help="of facts: for Ansible at 200 hosts")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON lines; default: artifacts/bench/TIME.jsonl")
    options = parser.parse_args()
    out = options.out or ROOT / "artifacts" / "bench" / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    record = Record(out)
    if not (TOOLS / "ansible").exists():
        print("without Ansible and pyinfra: run benchmarks/contenders.sh first to compare with them")
    measure.become_subreaper()
    _measure(options, record)
    print(table.markdown(table.summarize(table.read([out]))))


def _measure(options: argparse.Namespace, record: Record) -> None:
    names = options.names or NAMES
    with ExitStack() as stack:
        machines = stack.enter_context(rig()) if {"facts", "open", "noop"} & set(names) else None
        if "facts" in names and machines:
            from benchmarks.facts import facts

            facts(
                machines,
                record,
                sizes=options.hosts or (1, 50, 200),
                kexes=options.kex,
                repeats=options.repeats,
                only=options.only,
                warm_up=not options.no_warm_up,
            )
        if "open" in names and machines:
            from benchmarks.facts import open_connections

            open_connections(machines, record, sizes=options.hosts or (50, 200), repeats=options.repeats)
        if "noop" in names and machines:
            from benchmarks.noop import noop

            noop(
                machines, record, sizes=options.hosts or (10, 50), repeats=options.repeats, only=options.only
            )
        if "cli" in names:
            from benchmarks.lab import cli

            cli(record, repeats=max(options.repeats, 15))
        if "apply" in names:
            from benchmarks.lab import installs

            installs(record, sites=10, nodes=10)
            installs(record, sites=20, nodes=10, again=options.repeats)
        if "demo" in names:
            from benchmarks.demo import demo

            demo(record, repeats=options.repeats)
        if "lab-200" in names:
            from benchmarks.demo import crowd

            crowd(record, repeats=options.repeats)


if __name__ == "__main__":
    main()
