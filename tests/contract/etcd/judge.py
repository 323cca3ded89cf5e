"""A real etcd as a judge of snapshots: a Go program, built on demand and kept in artifacts/."""

import fcntl
import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ARTIFACTS = HERE.parents[2] / "artifacts" / "etcd"


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
                raise RuntimeError(f"the judge of etcd snapshots could not be built:\n{done.stderr[-2000:]}")
    return str(made)


def made(path: Path, keys: int) -> dict[str, Any]:
    """A snapshot of an etcd with so many keys; what that etcd held: keys, hash, revision."""
    return _asked("make", str(path), str(keys))


def restored(path: Path) -> dict[str, Any]:
    """What an etcd holds that was restored from the snapshot. Raises RuntimeError with etcd's own words."""
    return _asked("restore", str(path))


def _asked(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([program(), *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
