"""Runs the program moment by moment: it stops at each of the four moments of every step, and the test decides.

There is no list of steps here: whatever the program does stops it. A test may kill it there, let a machine fail,
or let it go on. Decides nothing about the product.
"""

import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.growing import STABLE
from tests.e2e.harness import CTO, Done, LabHome, environment, told

_MOST = 1000  # moments of one run; more would be a loop


@dataclass(frozen=True)
class Moment:
    step: str
    point: str
    subject: str  # a node or a cluster

    @classmethod
    def parse(cls, line: str) -> "Moment":
        return cls(*line.split(":", 2))


Deed = Callable[[Moment], bool]  # called while the program stands still; True: it is killed there


def run(lab: LabHome, *command: str, at: Deed, wait_limit: str = "") -> Done:
    """One run of the program, to its end or to its death."""
    with tempfile.TemporaryDirectory(prefix="cto-moments-") as folder:
        moments, out, errors = (Path(folder, name) for name in ("moments", "out", "errors"))
        extra = STABLE | {"CTO_STOP_AT": str(moments)}
        extra |= {"CTO_WAIT_LIMIT": wait_limit} if wait_limit else {}
        pid = _start(command, environment(lab.home, extra), out, errors)
        try:
            code = _watch(pid, moments, at)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        return Done([*command], code, out.read_text(), errors.read_text())


def _start(command: tuple[str, ...], env: dict[str, str], out: Path, errors: Path) -> int:
    """Into files, since nobody would empty a pipe while it stands still."""
    flags = os.O_WRONLY | os.O_CREAT
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(errors), flags, 0o600),
    ]
    return os.posix_spawn(CTO[0], [*CTO, *command], env, file_actions=actions, setpgroup=0)


def _watch(pid: int, moments: Path, at: Deed) -> int:
    for number in range(_MOST):
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        now = Moment.parse(moments.read_text().splitlines()[number])
        os.kill(pid, signal.SIGKILL if at(now) else signal.SIGCONT)
    raise AssertionError(f"more than {_MOST} moments in one run")


def ended_well(done: Done) -> None:
    assert done.returncode == 0, told(done.args, done, f"ended with {done.returncode}")
