"""The floor: a bare asyncssh loop that runs one script on every host with pinned keys, and prints how many answered.

`--rounds N` keeps the connections open; wall and CPU seconds of each further round are printed too. Its cipher is the
one that asyncssh takes by itself, unless `--ciphers` says which.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import asyncssh


async def one(connection: asyncssh.SSHClientConnection, script: str) -> int:
    done = await connection.run(script, encoding=None, check=False)
    return len(done.stdout or b"")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--known-hosts", required=True)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--least", type=int, default=1000, help="bytes that make an answer")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ciphers", nargs="*", default=())
    options = parser.parse_args()
    script = options.script.read_text()
    key = asyncssh.read_private_key(options.key)
    known = asyncssh.read_known_hosts(options.known_hosts)
    limit = asyncio.Semaphore(64)

    async def connect(host: str) -> asyncssh.SSHClientConnection:
        async with limit:
            return await asyncssh.connect(
                host,
                options.port,
                username="root",
                client_keys=[key],
                known_hosts=known,
                config=None,
                agent_path=None,
                encryption_algs=options.ciphers,
            )

    async def cold(host: str) -> tuple[asyncssh.SSHClientConnection, int]:
        connection = await connect(host)
        size = await one(connection, script)
        if options.rounds == 1:
            connection.close()
        return connection, size

    hosts = options.hosts.read_text().split()
    pairs = await asyncio.gather(*(cold(h) for h in hosts))
    rounds = []
    for _ in range(options.rounds - 1):
        start, spent = time.monotonic(), time.process_time()
        sizes = await asyncio.gather(*(one(c, script) for c, _ in pairs))
        rounds.append({"wall": time.monotonic() - start, "cpu": time.process_time() - spent})
        pairs = [(c, s) for (c, _), s in zip(pairs, sizes, strict=True)]
    for connection, _ in pairs:
        connection.close()
    answered = sum(size > options.least for _, size in pairs)
    print(json.dumps({"answered": answered, "rounds": rounds}))
    sys.exit(0 if answered == len(hosts) else 1)


if __name__ == "__main__":
    asyncio.run(main())
