"""Runs one command as a whole process tree: wall time, CPU of the tree, peak memory. Knows no contender.

CPU comes from the children's clock with this process as subreaper, so that daemonised helpers (ssh masters, in
which the key exchange happens) count: they are ended after the run and waited for. Memory is sampled from /proc,
at most 4 % of a core: the sum of the tree's RSS counts shared pages many times for forking tools, so the
anonymous part is given beside it.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_SHARE = 0.04  # of a core, for the sampling of memory


@dataclass(frozen=True)
class Result:
    wall: float  # s
    cpu: float  # s, user + sys of the whole tree
    rss_mib: float  # peak of the sum
    anon_mib: float
    peak_mib: float  # of the largest single process, by the kernel
    status: int
    helpers: int = 0  # direct children whose command line has the marker
    helper_cpu: float = 0.0  # s, of these and theirs, as last seen
    stdout: bytes = b""
    stderr: bytes = b""

    def row(self) -> dict[str, float | int]:
        row = asdict(self)
        del row["stdout"], row["stderr"]
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def become_subreaper() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> list[int]:
    """Of one process, not deeper."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.extend(int(c) for c in (task / "children").read_text().split())
    return found


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        found.extend(children(each))
    return found


def memory(pid: int) -> tuple[float, float]:
    """Resident and anonymous MiB of a process and what it started."""
    rss = anon = 0
    for each in _tree(pid):
        with contextlib.suppress(OSError, IndexError):
            for line in Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    rss += int(line.split()[1])
                elif line.startswith("RssAnon"):
                    anon += int(line.split()[1])
    return rss / 1024, anon / 1024


def most_memory(pid: int) -> float:
    """The peaks of resident MiB of a process and what it started, by the kernel, added up."""
    found = 0
    for each in _tree(pid):
        with contextlib.suppress(OSError, IndexError):
            for line in Path(f"/proc/{each}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    found += int(line.split()[1])
    return found / 1024


def cpu(pid: int) -> float:
    """Seconds that a process and its children that ended have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    keep: Collection[int] = (),
    marker: str = "",
    timeout: float = 1800,
) -> Result:
    """One run. A contender that fails is not a result: the caller checks `status` and the answer.

    `keep`: children of this process that have nothing to do with the run. `marker`: counts direct children by it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        before, start = _spent(), time.monotonic()
        # Files, not pipes: a helper that outlives its parent would hold a pipe open.
        child = subprocess.Popen(
            list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
        )
        sampler = _Sampler(child.pid, marker)
        limit = threading.Timer(timeout, child.kill)
        limit.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)  # not child.wait(): it does not tell the peak
        finally:
            wall = time.monotonic() - start
            limit.cancel()
            sampler.finish()
            _end_adopted({*keep})
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        return Result(
            wall=wall,
            cpu=_spent() - before,
            rss_mib=sampler.rss,
            anon_mib=sampler.anon,
            peak_mib=usage.ru_maxrss / 1024,
            status=child.returncode,
            helpers=len(sampler.helpers),
            helper_cpu=sum(sampler.helpers.values()),
            stdout=out.read(),
            stderr=errors.read(),
        )


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # finer than os.times
    return used.ru_utime + used.ru_stime


class _Sampler(threading.Thread):
    def __init__(self, pid: int, marker: str) -> None:
        super().__init__(daemon=True)
        self._pid, self._marker, self._over = pid, marker.encode(), threading.Event()
        self.helpers: dict[int, float] = {}
        self.rss = self.anon = 0.0
        self.start()

    def run(self) -> None:
        took = 0.0
        while not self._over.wait(max(0.02, took / _SHARE)):
            start = time.thread_time()
            rss, anon = memory(self._pid)
            self.rss, self.anon = max(self.rss, rss), max(self.anon, anon)
            if self._marker:
                self._look_for_helpers()
            took = time.thread_time() - start

    def _look_for_helpers(self) -> None:
        for pid in children(self._pid):
            with contextlib.suppress(OSError):
                if self._marker in Path(f"/proc/{pid}/cmdline").read_bytes():
                    self.helpers[pid] = cpu(pid)

    def finish(self) -> None:
        self._over.set()
        self.join()


def _end_adopted(keep: set[int]) -> None:
    """Helpers that outlived their parent are ours now: end them and wait, which counts their CPU."""
    while left := set(children(os.getpid())) - keep:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
