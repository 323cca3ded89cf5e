"""Facts again over connections that are open already, by the product's own adapters, as `cto serve` does it.

Prints how many answered and wall and CPU seconds of each round after the first. Same output as `benchmarks.bare`.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from controller.adapters.clock import SystemClock
from controller.adapters.ssh import AsyncSsh
from controller.app.gather import gather
from controller.app.ports import Target
from facts.registry import machine_facts


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--host-key", required=True)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    targets = [
        Target(h, h, options.host_key, options.port, "root") for h in options.hosts.read_text().split()
    ]
    ssh, clock = AsyncSsh(options.key, Path("/nonexistent")), SystemClock()
    rounds, answered = [], 0
    for _ in range(options.rounds):
        start, spent = time.monotonic(), time.process_time()
        found = [each async for each in gather(ssh, targets, machine_facts(), clock=clock)]
        rounds.append({"wall": time.monotonic() - start, "cpu": time.process_time() - spent})
        answered = sum(each.facts is not None and len(each.facts.values) > 5 for each in found)
    await ssh.close()
    print(json.dumps({"answered": answered, "rounds": rounds[1:]}))
    sys.exit(0 if answered == len(targets) else 1)


if __name__ == "__main__":
    asyncio.run(main())
