"""A home with a lab of installed clusters, in which `benchmarks.rollout_lab` lets rollouts run, and what must be true of
each. Chooses no faults and kills nobody.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks import rollout_checks as checks
from iso.lab.sitefile import updates_file

CTO = [sys.executable, "-c", "from controller.cli.main import main; main()"]
VERSIONS = ("1.10.8", "1.11.6", "1.12.11", "1.13.9", "1.14.1")
TIMING = {
    "look": 2, "bake": 5, "soak": 4, "drain": 120, "install": 120, "reboot": 60, "verify": 40,
    "soak_deadline": 30, "guard_wait": 240, "health": 5, "late_failure": 60, "backoff": 1, "backoff_cap": 5,
}  # fmt: skip
OPEN, CLOSED = 8, 2  # minutes


@dataclass
class World:
    """A home, its lab, and what was found so far."""

    home: Path
    site: Path
    updates: Path
    said: list[str] = field(default_factory=list)
    openings: Mapping[str, Sequence[checks.Opening]] = field(default_factory=dict)

    def cto(self, *args: str, timeout: float = 3600) -> "subprocess.CompletedProcess[str]":
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

    def say(self, text: str) -> None:
        self.said.append(text)
        print(text, flush=True)

    def must(self, what: str, problems: Sequence[str]) -> None:
        """`what` is said of the run if there is no problem with it."""
        if problems:
            sys.exit(f"NOT TRUE: {what}:\n" + "\n".join(f"  {each}" for each in problems[:20]))
        self.say(f"- {what}")

    def nodes(self) -> dict[str, dict[str, Any]]:
        sql = "SELECT name, site, cluster, role, talos FROM nodes ORDER BY name"
        return {row["name"]: dict(row) for row in checks.rows(self.home, sql)}

    def start(self, target: str, via: str, *more: str) -> list[str]:
        files = ["-f", str(self.site), "-f", str(self.updates)]
        words = ["--talos", target, "--via", via, "--reason", "benchmark", "--yes", "--output", "json"]
        return ["rollout", "start", *files, *words, *more]

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("rollout", "status", "--output", "json"))
        return found


def opened(home: Path) -> World:
    return World(home, home / "lab" / "site.yaml", home / "lab" / "bench.yaml")


def build(sites: int, nodes: int) -> World:
    world = opened(Path(tempfile.mkdtemp(prefix="cto-rollout-")))
    counts = ",".join([str(nodes)] * sites)
    world.ok("lab", "up", "--mixed", counts, "--boot-seconds", "0.3", "--talos", VERSIONS[0])
    began = time.monotonic()
    world.ok("apply", "-f", str(world.site), "--yes")
    print(f"{sites * nodes} nodes at {sites} sites installed in {time.monotonic() - began:.0f} s", flush=True)
    policy, always = yaml.safe_load_all(updates_file())
    policy["spec"] |= {"waves": [10, 100], "maxUnavailable": 2, "timing": TIMING}
    policy["spec"] |= {"expectedDuration": "1m", "rollbackReserve": "1m"}
    world.updates.write_text(yaml.safe_dump_all([policy, always]))
    return world


def keep_to_windows(world: World, opened: int = OPEN, closed: int = CLOSED) -> None:
    """From now on sites are open for some minutes and closed for some, one half after the other."""
    sites = sorted({node["site"] for node in world.nodes().values()})
    windows, world.openings = checks.alternating(datetime.now(UTC), sites, opened=opened, closed=closed)
    policy = next(yaml.safe_load_all(world.updates.read_text()))
    world.updates.write_text(yaml.safe_dump_all([policy, *windows]))


def judge(world: World, status: Mapping[str, Any], since: float, bad: Collection[str] = ()) -> None:
    """What must be true of every rollout, however it ended."""
    left_out = json.loads(
        checks.rows(world.home, "SELECT facts FROM rollouts WHERE id = ?", status["id"])[0][0]
    )["left_out"]
    slow = [f"{name}: {why}" for name, why in left_out.items() if "runs the target already" not in why]
    world.must(f"Every cluster took part but those that ran the target already ({len(left_out)}).", slow)
    nodes = world.nodes()
    told = checks.deeds(world.home, nodes)
    found = checks.spans(world.home, status["id"])
    planes = {name: node["cluster"] for name, node in nodes.items() if node["role"] != "worker"}
    world.must(
        "No two control planes of a cluster at once, by the rollout's events and by when their etcd was away.",
        checks.planes_at_once(found, told, planes, since),
    )
    world.must(
        "No machine installed or booted a version twice, by its own account.",
        checks.twice(told, since, bad=bad),
    )
    if world.openings:
        site_of = {name: str(node["site"]) for name, node in nodes.items()}
        late = sum(not checks.is_open(s.end, world.openings[site_of[s.node]]) for s in found)
        world.must(
            f"Nothing was begun or disrupted outside its site's windows; {late} node updates that were under way"
            " when one closed were finished after it.",
            checks.outside(found, told, world.openings, site_of, since),
        )
    world.must("The store is whole.", checks.whole(world.home))
    verified = json.loads(world.ok("audit", "verify", "--output", "json"))
    world.must(f"The audit chain is whole: {verified}.", [] if verified["ok"] else ["it is not"])


def told_of(world: World, status: Mapping[str, Any], seconds: float) -> list[checks.Span]:
    found = checks.spans(world.home, status["id"])
    size = (world.home / "fleet.db").stat().st_size
    world.say(
        f"{status['status']} in {seconds:.0f} s: {len(found)} node updates, stages"
        f" {status['summary']['stages']}; the store has {size / 1e6:.1f} MB. {status['summary']['why']}\n"
    )
    return found


def not_on(world: World, version: str, names: Mapping[str, Any]) -> list[str]:
    nodes = world.nodes()
    return [f"{name} runs {nodes[name]['talos']}" for name in names if nodes[name]["talos"] != version]
