"""Contenders in alternation: each once per repeat, the order rotated, one warm-up that is not recorded.

A run counts only if its answer is right; wrong ones are recorded with the problem and left out of tables.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import Result
from benchmarks.rig import Rig

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
TOOLS = ROOT / "artifacts" / "bench-venv" / "bin"


def _nothing() -> None:
    """No preparation."""


@dataclass(frozen=True)
class Contender:
    name: str
    argv: Sequence[str]
    check: Callable[[Result], str]  # "" if the answer is right, else what is wrong with it
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = _nothing  # before each run, not measured
    more: Callable[[Result], Mapping[str, float]] = lambda _result: {}  # further figures, from the answer


def environment(**more: str) -> dict[str, str]:
    """Agents, proxies and settings of whoever runs the benchmark must not decide it; this checkout is measured."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in os.environ}
    return {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT), **kept, **more}


class Record:
    """One JSON line per run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, row: Mapping[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        problem = f"  PROBLEM {row['problem']}" if row.get("problem") else ""
        where = " ".join(str(row.get(k, "")) for k in ("bench", "kex", "hosts", "contender"))
        print(f"{where}: {row.get('wall', 0):.3f} s, {row.get('cpu', 0):.3f} s CPU{problem}", flush=True)


def race(
    contenders: Sequence[Contender],
    record: Record,
    *,
    repeats: int,
    labels: Mapping[str, Any],
    rig: Rig | None = None,
    warm_up: bool = True,
) -> None:
    """`labels` tell what was measured; `kex` among them names the daemon whose CPU is read."""
    for number in range(0 if warm_up else 1, repeats + 1):
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            row = _once(contender, rig, str(labels.get("kex", "")))
            if number:
                record.add({**labels, "contender": contender.name, "repeat": number, **row})


def _once(contender: Contender, rig: Rig | None, variant: str) -> dict[str, Any]:
    contender.prepare()
    keep = list(rig.pids.values()) if rig else []
    before = rig.server_cpu(variant) if rig else 0.0
    result = measure.run(contender.argv, env=environment(**contender.env), cwd=ROOT, keep=keep)
    after = rig.server_cpu(variant) if rig else 0.0
    problem = contender.check(result)
    if problem:
        return {**result.row(), "problem": f"{problem}; {result.stderr[-300:].decode('utf-8', 'replace')}"}
    return {**result.row(), "server_cpu": round(after - before, 3), **contender.more(result)}
