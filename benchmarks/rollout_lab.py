"""`python -m benchmarks.rollout_lab [--sites 10 --nodes 10]`: rollouts over a hundred lab nodes, judged and timed.

Three in a row, each over two minors: a clean one, timed against its longest chain of waits; one with five bad nodes
of different kinds; and, after their repair, one whose controller is killed every few seconds. The last two have to
keep to windows that open and close while they run. Ends with an error at the first thing that is not as it must be;
`--report FILE` writes what it found.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import rollout_checks as checks
from benchmarks.rollout_world import (
    CLOSED,
    CTO,
    OPEN,
    TIMING,
    VERSIONS,
    World,
    build,
    judge,
    keep_to_windows,
    not_on,
    opened,
    told_of,
)
from iso.lab import client

# What each does with the last version, which node of its cluster it is, and how it must end.
BAD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ready-but-bad": ("cp-2", ("rolled-back",)),
    "boot-hang": ("worker-1", ("needs-hands",)),
    "flaps": ("worker-1", ("rolled-back",)),
    "boot-fails": ("cp-3", ("rolled-back",)),
    "install-fails": ("worker-1", ("failed", "rolled-back")),
}
ALIVE = (2.0, 9.0)  # seconds of work before each kill
WAVES = 2


def chain(found: Sequence[checks.Span], nodes: int) -> float:
    """The longest chain of waits: in each wave the slowest cluster, whose nodes go one after the other (workers
    two at a time), each as quick as the quickest tenth of all nodes; and the bakes.
    """
    quick = sorted(span.seconds for span in found)[len(found) // 10]
    planes = min(nodes, 3)
    rounds = planes + -(-(nodes - planes) // 2)
    return WAVES * 2 * rounds * quick + WAVES * TIMING["bake"]


def clean(world: World, nodes: int) -> None:
    world.say(f"\n## Clean, {VERSIONS[0]} → {VERSIONS[1]} → {VERSIONS[2]}\n")
    since, began = time.time(), time.monotonic()
    used, lab = resource.getrusage(resource.RUSAGE_CHILDREN), _lab_cpu(world)
    done = world.cto(*world.start(VERSIONS[2], VERSIONS[1]))
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    status = world.status()
    found = told_of(world, status, seconds)
    world.must(
        "All nodes run the target.",
        [done.stderr[-500:]] if done.returncode else not_on(world, VERSIONS[2], world.nodes()),
    )
    least = chain(found, nodes)
    world.say(f"- The longest chain of waits is {least:.0f} s: it took {seconds / least:.2f} times that.")
    world.say(
        f"- CPU: {cpu:.1f} s of the controller, {cpu / len(found):.2f} s for each node update;"
        f" {_lab_cpu(world) - lab:.1f} s of the lab."
    )
    judge(world, status, since)


def _lab_cpu(world: World) -> float:
    info = client.info(world.home)
    if info is None:
        return 0.0
    fields = Path(f"/proc/{info.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def choose_bad(world: World) -> dict[str, str]:
    """Node → what is wrong with it: one in each of five clusters, none in the first wave's."""
    words = world.start(VERSIONS[4], VERSIONS[3])
    waves = json.loads(world.ok("rollout", "plan", *words[2:10], "--output", "json"))["waves"]
    others = sorted(cluster for wave in waves[1:] for cluster in wave)
    return {f"{c}-{BAD[kind][0]}": kind for c, kind in zip(others, BAD, strict=False)}


def with_bad_nodes(world: World) -> dict[str, str]:
    world.say(f"\n## Five bad nodes, {VERSIONS[2]} → {VERSIONS[3]} → {VERSIONS[4]}\n")
    bad = choose_bad(world)
    for name, kind in bad.items():  # each time it boots or installs that version
        world.ok("lab", "fault", name, kind, "--set", f"at=v{VERSIONS[4]}", "--times", "0")
    keep_to_windows(world)
    since, began = time.time(), time.monotonic()
    world.cto(*world.start(VERSIONS[4], VERSIONS[3]))
    status = world.status()
    told_of(world, status, time.monotonic() - began)
    world.must(
        "It stopped at the first failure of a wave of nine clusters, as the policy says.",
        [] if status["status"] == "stopped" else [status["status"]],
    )
    judge(world, status, since, bad)
    seen = outcomes(world, status, bad)
    for name in bad:
        if name not in seen:  # it was not begun before the stop: tried alone, so that each kind is seen
            cluster = world.nodes()[name]["cluster"]
            world.cto(*world.start(VERSIONS[4], VERSIONS[3], "--cluster", cluster))
            status = world.status()
            world.must(
                f"Tried alone: {cluster} {status['status']}.",
                [] if status["status"] == "stopped" else [json.dumps(status["summary"])],
            )
            seen |= outcomes(world, status, {name: bad[name]})
    world.must("Each of the five was seen.", sorted(set(bad) - set(seen)))
    judge(world, status, since, bad)
    return bad


def outcomes(world: World, status: Mapping[str, Any], bad: Mapping[str, str]) -> dict[str, str]:
    """How those of the bad ended that were begun with the last version. All others must be well."""
    seen: dict[str, str] = {}
    problems = []
    record = world.nodes()
    for cluster in status["clusters"]:
        for node in cluster["nodes"]:
            name, stage = node["name"], str(node["stage"])
            if name not in bad:
                if stage not in ("committed", "cancelled", "planned", "staged"):
                    problems.append(f"{name} is well, and ended {stage}: {node['reason']}")
            elif stage in ("committed", "cancelled", "planned", "staged"):
                if record[name]["talos"] == VERSIONS[4]:
                    problems.append(f"{name} ({bad[name]}) runs {VERSIONS[4]}")
            else:
                seen[name] = stage
                if stage not in BAD[bad[name]][1]:
                    problems.append(f"{name} ({bad[name]}) ended {stage}: {node['reason']}")
                if stage != "needs-hands" and record[name]["talos"] != VERSIONS[3]:
                    problems.append(f"{name} ({bad[name]}) runs {record[name]['talos']}")
    ends = Counter(f"{bad[name]}: {stage}" for name, stage in seen.items())
    world.must(
        f"Good nodes finished or were left alone; of the bad {len(seen)} were begun ({', '.join(sorted(ends))}),"
        f" and all that answer run {VERSIONS[3]} again.",
        problems,
    )
    return seen


def repair(world: World, bad: Mapping[str, str]) -> None:
    for name, kind in bad.items():
        client.command(world.home, {"op": "clear", "machine": name, "kind": ""})
        if kind == "boot-hang":
            client.command(world.home, {"op": "power", "machine": name, "action": "reboot"})
    time.sleep(5)


Alive = Callable[[World, "subprocess.Popen[str]", random.Random], bool]


def for_seconds(world: World, process: "subprocess.Popen[str]", chance: random.Random) -> bool:
    """Lets it work for a random while, not counting its start: on a busy computer it would never get past that.
    Whether it lives still.
    """
    sql = "SELECT 1 FROM events WHERE kind = 'EngineStarted' AND json_extract(data, '$.pid') = ?"
    while process.poll() is None and not checks.rows(world.home, sql, process.pid):
        time.sleep(0.1)
    try:
        process.wait(timeout=chance.uniform(*ALIVE))
    except subprocess.TimeoutExpired:
        return True
    return False


def for_acts(world: World, process: "subprocess.Popen[str]", chance: random.Random) -> bool:
    """Lets it order some acts, however slow the computer is. Whether it lives still."""
    enough = _acts(world) + chance.randint(6, 14)
    while process.poll() is None:
        if _acts(world) >= enough:
            return True
        time.sleep(0.05)
    return False


def _acts(world: World) -> int:
    return int(checks.rows(world.home, "SELECT count(*) FROM rollout_acts")[0][0])


def killed_again_and_again(world: World, first: Sequence[str], seed: int, alive: Alive) -> int:
    """Runs it to its end; the controller is killed (SIGKILL) each time after it was `alive`. How many kills."""
    chance, kills, words = random.Random(seed), 0, list(first)
    while True:
        with (world.home / "killed.log").open("w+", encoding="utf-8") as log:
            process = subprocess.Popen([*CTO, *words], env=world.env, stdout=log, stderr=log, text=True)
            if not alive(world, process, chance):
                if process.returncode not in (0, 4, 5):
                    log.seek(0)
                    sys.exit(f"ended with {process.returncode}: {log.read()[-2000:]}")
                return kills
            process.send_signal(signal.SIGKILL)
            process.wait()
        kills += 1
        if checks.rows(world.home, "SELECT 1 FROM rollouts WHERE over = 0"):
            words = ["rollout", "start", "--output", "json"]


def killed(
    world: World,
    target: str,
    via: str,
    *,
    alive: Alive = for_seconds,
    minutes: tuple[int, int] = (OPEN, CLOSED),
) -> int:
    """How many kills."""
    world.say(
        f"\n## The controller killed again and again, each time after {ALIVE[0]:.0f} to {ALIVE[1]:.0f} s of work\n"
    )
    keep_to_windows(world, *minutes)
    since, began = time.time(), time.monotonic()
    kills = killed_again_and_again(world, world.start(target, via), 1, alive)
    status = world.status()
    told_of(world, status, time.monotonic() - began)
    world.must(
        f"It was killed {kills} times (SIGKILL), and all nodes run the target.",
        not_on(world, target, world.nodes())
        if status["status"] == "succeeded"
        else [json.dumps(status["summary"])],
    )
    judge(world, status, since)
    return kills


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout_lab", description=__doc__)
    parser.add_argument("--sites", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument(
        "--parts", default="clean,bad,killed", help="Of the three; killed alone is fine, too."
    )
    parser.add_argument("--home", type=Path, help="Go on with a lab that a run before left (--keep).")
    parser.add_argument("--keep", action="store_true", help="Leave the lab as it is at the end.")
    parser.add_argument("--report", type=Path, help="Where to write what was found.")
    options = parser.parse_args()
    world = opened(options.home) if options.home else build(options.sites, options.nodes)
    load = os.getloadavg()[0]
    world.say(
        f"{options.sites * options.nodes} nodes at {options.sites} sites; load of the machine {load:.1f}."
    )
    parts = options.parts.split(",")
    try:
        if "clean" in parts:
            clean(world, options.nodes)
        if "bad" in parts:
            repair(world, with_bad_nodes(world))
        if "killed" in parts:
            killed(
                world,
                *(
                    (VERSIONS[2], VERSIONS[1])
                    if parts == ["killed"] and not options.home
                    else (VERSIONS[4], VERSIONS[3])
                ),
            )
    finally:
        if not options.keep:
            world.cto("lab", "down")
        if options.report:
            options.report.write_text("\n".join(world.said) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
