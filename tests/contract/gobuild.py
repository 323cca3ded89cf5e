"""Builds a Go program of the tests on demand and keeps it in artifacts/, which git ignores."""

import fcntl
import hashlib
import subprocess
from functools import cache
from pathlib import Path

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


@cache
def program(folder: Path) -> str:
    """Once for each state of the sources, also when several test processes ask at the same time."""
    sources = sorted([*folder.glob("*.go"), folder / "go.mod", folder / "go.sum"])
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    place = ARTIFACTS / folder.name
    place.mkdir(parents=True, exist_ok=True)
    made = place / f"{folder.name}-{key}"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            command = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(made), "."]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{folder.name} could not be built:\n{done.stderr[-2000:]}")
    return str(made)
