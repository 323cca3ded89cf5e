"""`python -m controller.core.simulate --seed N [--trace]`: one simulated fleet, again and again the same."""

# ruff: noqa: T201 - a command
import argparse
import sys
import time

from controller.core.simulate.invariants import Broken
from controller.core.simulate.runner import Runner
from controller.core.simulate.scenario import draw


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m controller.core.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the fleet and its faults")
    parser.add_argument("--count", type=int, default=1, help="so many seeds from there on")
    parser.add_argument("--max-nodes", type=int, default=500)
    parser.add_argument("--trace", action="store_true", help="print every event and every effect")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        begun = time.perf_counter()
        try:
            scenario = draw(seed, max_nodes=options.max_nodes)
            report = Runner(scenario, trace=print if options.trace else None).run()
        except Broken as error:
            print(error)
            failed += 1
            continue
        took = time.perf_counter() - begun
        print(
            f"seed {seed}: {scenario.nodes} nodes, {report.state.status}, {report.steps} steps, "
            f"{report.kills} kills, {report.seconds / 3600:.1f} h in {took:.2f} s"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
