"""`python -m benchmarks.rollout_lab [--sites 10 --nodes 10]`: rollouts over a lab of a hundred nodes, judged and timed.

Three rollouts in a row, each over two minors: a clean one (timed against its longest chain of waits), one with
five bad nodes of different kinds, and one after their repair whose controller is killed every few seconds.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from iso.lab import client
from iso.lab.sitefile import updates_file

CTO = [sys.executable, "-c", "from controller.cli.main import main; main()"]
VERSIONS = ("1.10.8", "1.11.6", "1.12.11", "1.13.9", "1.14.1")
TIMING = {
    "look": 2, "bake": 5, "soak": 4, "drain": 120, "install": 120, "reboot": 60, "verify": 40,
    "soak_deadline": 30, "guard_wait": 240, "health": 10, "late_failure": 60, "backoff": 1, "backoff_cap": 5,
}  # fmt: skip
BAD = ("boot-fails", "ready-but-bad", "boot-hang", "flaps", "install-fails")
KILL_EVERY = 8.0


@dataclass(frozen=True)
class World:
    home: Path
    site: Path
    updates: Path

    def cto(self, *args: str, timeout: float = 1800) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*CTO, *args], env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "CTO_HOME": str(self.home)}

    def ok(self, *args: str) -> str:
        done = self.cto(*args)
        if done.returncode:
            sys.exit(f"{args}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        connection = sqlite3.connect(f"file:{self.home / 'fleet.db'}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def start(self, target: str, via: str) -> list[str]:
        files = ["-f", str(self.site), "-f", str(self.updates)]
        words = ["--talos", target, "--via", via, "--reason", "benchmark", "--yes", "--output", "json"]
        return ["rollout", "start", *files, *words]

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("rollout", "status", "--output", "json"))
        return found


def build(sites: int, nodes: int) -> World:
    home = Path(tempfile.mkdtemp(prefix="cto-rollout-"))
    world = World(home, home / "lab" / "site.yaml", home / "lab" / "bench.yaml")
    counts = ",".join([str(nodes)] * sites)
    world.ok("lab", "up", "--mixed", counts, "--boot-seconds", "0.3", "--talos", VERSIONS[0])
    began = time.monotonic()
    world.ok("apply", "-f", str(world.site), "--yes")
    print(f"{sites * nodes} nodes at {sites} sites installed in {time.monotonic() - began:.0f} s", flush=True)
    policy, always = yaml.safe_load_all(updates_file())
    policy["spec"] |= {"waves": [10, 100], "maxUnavailable": 2, "timing": TIMING}
    world.updates.write_text(yaml.safe_dump_all([policy, always]))
    return world


def spans(world: World, rollout: str) -> Iterator[tuple[str, float, float]]:
    """(node, start, end) of every node's way through a hop."""
    begun: dict[str, float] = {}
    for event in world.rows("SELECT * FROM events WHERE subject LIKE 'node/%' ORDER BY id"):
        if json.loads(event["data"]).get("rollout") != rollout:
            continue
        name, at = event["subject"].removeprefix("node/"), datetime.fromisoformat(event["at"]).timestamp()
        if event["kind"] == "RolloutNodeStarted":
            begun[name] = at
        elif event["kind"] in ("RolloutNodeCommitted", "RolloutNodeRolledBack", "RolloutNodeNeedsHands"):
            yield name, begun[name], at


def two_planes_at_once(found: Sequence[tuple[str, float, float]]) -> list[str]:
    """Control planes of one cluster whose ways overlap."""
    problems = []
    planes = sorted((start, end, name) for name, start, end in found if "-cp-" in name)
    for i, (start, end, name) in enumerate(planes):
        site = name.split("-")[0]
        problems += [f"{name} and {n}" for s, _, n in planes[i + 1 :] if n.split("-")[0] == site and s < end]
        del start
    return problems


def doubled(world: World, rollout: str) -> list[str]:
    """Effects that a node saw more often than the rollout ordered them and got no answer."""
    acts = world.rows(
        "SELECT node, step, count(*) AS n FROM rollout_acts WHERE rollout = ? GROUP BY 1, 2", rollout
    )
    return [
        f"{a['node']} {a['step']} {a['n']}"
        for a in acts
        if a["step"] in ("upgrade", "install") and a["n"] > 4
    ]


def chain(world: World, rollout: str, nodes: int) -> float:
    """The longest chain of waits: in each wave the slowest cluster, whose nodes go one after the other (workers
    two at a time), each as quick as the quickest tenth of all nodes; and the bakes.
    """
    found = [end - start for _, start, end in spans(world, rollout)]
    quick = sorted(found)[len(found) // 10]
    rounds = 3 + -(-(nodes - 3) // 2)
    return 2 * 2 * rounds * quick + 2 * TIMING["bake"]


def report(world: World, name: str, seconds: float) -> dict[str, Any]:
    status = world.status()
    found = list(spans(world, status["id"]))
    overlap = two_planes_at_once(found)
    size = (world.home / "fleet.db").stat().st_size
    print(f"\n## {name}: {status['status']} in {seconds:.0f} s")
    print(f"{status['summary']['why']}")
    print(f"stages {status['summary']['stages']}; {len(found)} node updates; store {size / 1e6:.1f} MB")
    print(f"control planes of one cluster at once: {overlap or 'never'}")
    print(f"asked for too often: {doubled(world, status['id']) or 'nothing'}")
    for each in status["summary"]["failed"]:
        print(f"  {each['cluster']}: {each['outcome']}: {each['reason'][:100]}")
    versions = Counter(row["talos"] for row in world.rows("SELECT talos FROM nodes"))
    print(f"versions now: {dict(versions)}", flush=True)
    if overlap:
        sys.exit("two control planes at once")
    return status


def killed_again_and_again(world: World, first: Sequence[str], seed: int) -> int:
    """Runs it to its end; the controller is killed (SIGKILL) after a random while each time. How many kills."""
    chance, kills, words = random.Random(seed), 0, list(first)
    while True:
        process = subprocess.Popen(
            [*CTO, *words], env=world.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, errors = process.communicate(timeout=chance.uniform(0.7, 1.8) * KILL_EVERY)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            if world.rows("SELECT 1 FROM rollouts WHERE over = 0"):
                words = ["rollout", "start", "--output", "json"]
            continue
        if process.returncode not in (0, 4, 5):
            sys.exit(f"ended with {process.returncode}: {errors[-2000:]}")
        return kills


def run(world: World, nodes: int) -> None:
    began = time.monotonic()
    world.cto(*world.start(VERSIONS[2], VERSIONS[1]))
    seconds = time.monotonic() - began
    status = report(world, "Clean, two hops", seconds)
    least = chain(world, status["id"], nodes)
    print(f"longest chain of waits {least:.0f} s: {seconds / least:.2f} times that")

    names = sorted(row["name"] for row in world.rows("SELECT name FROM nodes WHERE role = 'worker'"))
    clusters = sorted({name.split("-")[0] for name in names})
    bad: Mapping[str, str] = {
        next(name for name in names if name.startswith(f"{cluster}-worker-2")): kind
        for cluster, kind in zip(clusters[2::1], BAD, strict=False)
    }
    for name, kind in bad.items():
        world.ok("lab", "fault", name, kind, "--set", f"at=v{VERSIONS[4]}", "--times", "0")
    began = time.monotonic()
    world.cto(*world.start(VERSIONS[4], VERSIONS[3]))
    report(world, f"Two hops with five bad nodes ({', '.join(bad.values())})", time.monotonic() - began)

    for name in bad:
        client.command(world.home, {"op": "clear", "machine": name, "kind": ""})
        if bad[name] == "boot-hang":
            client.command(world.home, {"op": "power", "machine": name, "action": "reboot"})
    time.sleep(5)
    began = time.monotonic()
    kills = killed_again_and_again(world, world.start(VERSIONS[4], VERSIONS[3]), seed=1)
    report(world, f"After their repair, the controller killed {kills} times", time.monotonic() - began)
    print(world.ok("audit", "verify"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout_lab", description=__doc__)
    parser.add_argument("--sites", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--only-killed", action="store_true", help="Only two hops under kills.")
    options = parser.parse_args()
    world = build(options.sites, options.nodes)
    try:
        if options.only_killed:
            began = time.monotonic()
            kills = killed_again_and_again(world, world.start(VERSIONS[2], VERSIONS[1]), seed=1)
            report(world, f"Two hops, the controller killed {kills} times", time.monotonic() - began)
            print(world.ok("audit", "verify"))
        else:
            run(world, options.nodes)
    finally:
        world.cto("lab", "down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
