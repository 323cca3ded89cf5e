"""`python -m benchmarks.rollout fleets|scale`: the rollout simulator in bulk, and a fleet of 10,000 nodes.

`fleets --count 2000 --jobs 2` runs so many seeded fleets and checks every invariant; a failure prints its seed.
`scale` plans 1,000 clusters of ten nodes and runs them, and reports memory and time per decision.
"""

import argparse
import resource
import sys
import time
import tracemalloc
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from controller.core.rollout.codec import dump, load
from controller.core.rollout.model import Policy, Target
from controller.core.rollout.planning import Cluster, Node
from controller.core.simulate.invariants import Broken
from controller.core.simulate.report import plan
from controller.core.simulate.runner import Runner
from controller.core.simulate.scenario import QUICK, RELEASES, Faults, Scenario, draw


@dataclass(frozen=True, slots=True)
class Fleet:
    seed: int
    nodes: int
    status: str
    steps: int
    kills: int
    acts: int
    problem: str = ""


def fleet(seed: int) -> Fleet:
    scenario = draw(seed)
    try:
        done = Runner(scenario).run()
    except Broken as error:
        return Fleet(seed, scenario.nodes, "broken", 0, 0, 0, str(error))
    return Fleet(seed, scenario.nodes, str(done.state.status), done.steps, done.kills, done.acts)


def fleets(first: int, count: int, jobs: int) -> int:
    begun = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        found = []
        for one in pool.map(fleet, range(first, first + count), chunksize=8):
            found.append(one)
            if one.problem:
                print(one.problem, flush=True)
            if len(found) % 200 == 0:
                print(f"{len(found)} fleets after {time.perf_counter() - begun:.0f} s", flush=True)
    wall = time.perf_counter() - begun
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    steps = sum(f.steps for f in found)
    print(f"{count} fleets, {sum(f.nodes for f in found)} nodes (largest {max(f.nodes for f in found)}),")
    print(f"{steps} decisions, {sum(f.acts for f in found)} acts, {sum(f.kills for f in found)} kills;")
    print(f"ended {dict(Counter(f.status for f in found))}; {wall:.0f} s wall, {cpu:.0f} s CPU,")
    print(f"{steps / cpu:.0f} decisions per CPU second, the simulated world included")
    return sum(bool(f.problem) for f in found)


def scale(clusters: int, nodes: int) -> int:
    members = tuple(
        Cluster(
            f"c{i}",
            f"s{i // 2}",
            tuple(Node(f"c{i}n{j}", j < 3, "1.12.11", "1.33.6", "old") for j in range(nodes)),
        )
        for i in range(clusters)
    )
    policy = Policy(bake_seconds=(300, 60), timing=QUICK, max_parallel=1000)
    scenario = Scenario(1, Target(talos="1.13.9"), policy, members, RELEASES, Faults(), operator=False)
    tracemalloc.start()
    begun = time.process_time()
    state = plan(scenario)
    planned, memory = time.process_time() - begun, tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    begun = time.process_time()
    text = dump(state)
    dumped = time.process_time() - begun
    begun = time.process_time()
    load(text)
    loaded = time.process_time() - begun
    begun = time.process_time()
    done = Runner(scenario, state=state).run()
    took = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{clusters * nodes} nodes in {clusters} clusters: planned in {planned:.2f} s, {memory / 1e6:.1f} MB"
    )
    print(
        f"state as JSON {len(text) / 1e6:.1f} MB before the start, written {dumped:.2f} s, read {loaded:.2f} s"
    )
    print(
        f"{done.state.status}: {done.steps} decisions, {done.acts} acts in {took:.1f} s CPU, world included:"
    )
    print(
        f"{took / done.steps * 1e6:.0f} µs per decision; at its end {len(dump(done.state)) / 1e6:.1f} MB; peak {peak} MiB"
    )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout", description=__doc__)
    parser.add_argument("what", choices=("fleets", "scale"))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=10)
    options = parser.parse_args()
    if options.what == "fleets":
        return 1 if fleets(options.first, options.count, options.jobs) else 0
    return scale(options.clusters, options.nodes)


if __name__ == "__main__":
    sys.exit(main())
