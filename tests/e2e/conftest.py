"""A lab and a controller home for end-to-end tests. Everything goes through the program, as a user would."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CTO = str(Path(sys.executable).with_name("cto"))
Cto = Callable[..., subprocess.CompletedProcess[str]]


def run_cto(home: Path, *args: str, env: dict[str, str] | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CTO, *args],
        env={**os.environ, "CTO_HOME": str(home), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout.strip().splitlines()[-1])


class LabHome:
    """One `$CTO_HOME` with a running lab in it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def site(self) -> str:
        return str(self.home / "lab" / "site.yaml")

    def cto(self, *args: str, env: dict[str, str] | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return run_cto(self.home, *args, env=env, timeout=timeout)

    def ok(self, *args: str, env: dict[str, str] | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        done = self.cto(*args, env=env, timeout=timeout)
        assert done.returncode == 0, f"cto {' '.join(args)} → {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def log(self, machine: str) -> list[dict[str, Any]]:
        """What the lab's machine was asked and did."""
        from iso.lab import client

        return list(client.command(self.home, {"op": "log", "machine": machine})["log"])


@pytest.fixture
def make_lab(worker_id: str) -> Iterator[Callable[..., LabHome]]:
    """`make_lab([4, 1])`: a lab of two sites. Taken down afterwards."""
    made: list[LabHome] = []

    def build(counts: list[int], *extra: str) -> LabHome:
        home = Path(tempfile.mkdtemp(prefix="cto-e2e-"))
        lab = LabHome(home)
        made.append(lab)
        lab.ok("lab", "up", "--counts", ",".join(map(str, counts)), *extra)
        return lab

    yield build
    for lab in made:
        lab.cto("lab", "down")
        shutil.rmtree(lab.home, ignore_errors=True)
