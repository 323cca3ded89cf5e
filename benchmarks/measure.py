"""Runs one command as a whole process tree: wall time, CPU of the tree, peak memory. Knows no contender.

CPU comes from wait4 of the child, with this process as subreaper, so that daemonised helpers (ssh masters) count
once they end. Memory is sampled from /proc, at most 25 times a second: the sum of the tree's RSS counts shared
pages many times for forking tools, so the anonymous part is given beside it.
"""

import contextlib
import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Result:
    wall: float  # s
    cpu: float  # s, user + sys of the whole tree
    rss_mib: float  # peak of the sum
    anon_mib: float
    status: int
    stdout: bytes = b""
    stderr: bytes = b""

    def row(self) -> dict[str, float | int]:
        row = asdict(self)
        del row["stdout"], row["stderr"]
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def become_subreaper() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found.extend(int(c) for c in (task / "children").read_text().split())
    return found


def _memory(pid: int) -> tuple[float, float]:
    rss = anon = 0
    for each in _children(pid):
        with contextlib.suppress(OSError, IndexError):
            for line in Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    rss += int(line.split()[1])
                elif line.startswith("RssAnon"):
                    anon += int(line.split()[1])
    return rss / 1024, anon / 1024


def run(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float = 1800) -> Result:
    """One run. A contender that fails is not a result: the caller checks `status` and the answer."""
    before = os.times()
    start = time.monotonic()
    child = subprocess.Popen(list(argv), env=dict(env), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peaks = [0.0, 0.0]
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.04):
            rss, anon = _memory(child.pid)
            peaks[0], peaks[1] = max(peaks[0], rss), max(peaks[1], anon)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        stdout, stderr = child.communicate(timeout=timeout)
    finally:
        stop.set()
        sampler.join()
    wall = time.monotonic() - start
    _reap()
    after = os.times()
    cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return Result(wall, cpu, peaks[0], peaks[1], child.returncode, stdout, stderr)


def _reap() -> None:
    """Adopted grandchildren that ended: their CPU counts from the moment they are waited for."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
