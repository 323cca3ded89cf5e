"""How many machine configurations are rendered per second: `python -m benchmarks.render [NODES]`.

One cluster's secrets, as many nodes as asked for (1,000), all three roles, for each Talos minor. Also shows
that memory does not grow with the number of nodes. Writes nothing.
"""

import json
import resource
import sys
import time

from roles.talos_version import CONTRACTS
from tests.contract.talos import matrix

ROLES = ("controlplane", "worker", "appliance")


def measure(minor: str, count: int) -> dict[str, float | int | str]:
    matrix.render(minor, "controlplane")  # imports, the bundle, the tables
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    size = 0
    for number in range(count):
        text = matrix.render(
            minor, ROLES[number % 3], "static", "much", more={"nodeLabels": {"n": str(number)}}
        )
        size += len(text)
    used = time.process_time() - cpu
    return {
        "talos": minor,
        "nodes": count,
        "seconds": round(time.perf_counter() - started, 3),
        "per_cpu_second": round(count / used),
        "bytes_each": size // count,
        "memory_grew_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for minor in CONTRACTS:
        print(json.dumps(measure(minor, count)), flush=True)


if __name__ == "__main__":
    main()
