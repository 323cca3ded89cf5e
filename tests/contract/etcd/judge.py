"""A real etcd as a judge of snapshots: a Go program, built on demand and kept in artifacts/."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.contract.gobuild import program

HERE = Path(__file__).parent


def made(path: Path, keys: int) -> dict[str, Any]:
    """A snapshot of an etcd with so many keys; what that etcd held: keys, hash, revision."""
    return _asked("make", str(path), str(keys))


def restored(path: Path) -> dict[str, Any]:
    """What an etcd holds that was restored from the snapshot. Raises RuntimeError with etcd's own words."""
    return _asked("restore", str(path))


def _asked(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [program(HERE), *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
