"""Kubernetes' own types as a judge of objects: a Go program, built on demand and kept in artifacts/."""

import fcntl
import hashlib
import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ARTIFACTS = HERE.parents[2] / "artifacts" / "kubernetes"


@cache
def program() -> str:
    """Built once for each state of the sources, also when several test processes ask at the same time."""
    sources = [HERE / name for name in ("judge.go", "go.mod", "go.sum")]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    made = ARTIFACTS / f"judge-{key}"
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with (ARTIFACTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            command = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(made), "."]
            done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(
                    f"the judge of Kubernetes objects could not be built:\n{done.stderr[-2000:]}"
                )
    return str(made)


def ask(texts: Sequence[str]) -> list[dict[str, Any]]:
    """For each YAML text: `error`, empty if Kubernetes takes every object, and the `kinds` it found."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run([program()], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
