"""The twenty checks by the product's own connections: one probe script a host, the difference here, one mending
script where something differs, and a second probe that proves it. Prints how many hosts are right and how many changed.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from benchmarks.desired import difference, probe
from controller.adapters.ssh import AsyncSsh
from controller.app.ports import Target


async def bring(ssh: AsyncSsh, target: Target, base: Path) -> tuple[bool, bool]:
    """Whether the host is right now, and whether it had to be changed."""
    script = probe(base)
    commands = difference((await ssh.run(target, script)).stdout.decode())
    if not commands:
        return True, False
    enter = script.splitlines()[0]
    await ssh.run(target, "\n".join(["set -e", enter, *commands]))
    return not difference((await ssh.run(target, script)).stdout.decode()), True


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--host-key", required=True)
    parser.add_argument("--base", type=Path, required=True)
    options = parser.parse_args()
    targets = [
        Target(h, h, options.host_key, options.port, "root") for h in options.hosts.read_text().split()
    ]
    ssh = AsyncSsh(options.key, Path("/nonexistent"))
    ends = await asyncio.gather(*(bring(ssh, target, options.base) for target in targets))
    await ssh.close()
    right, changed = (sum(column) for column in zip(*ends, strict=True))
    print(json.dumps({"answered": right, "changed": changed}))
    sys.exit(0 if right == len(targets) else 1)


if __name__ == "__main__":
    asyncio.run(main())
