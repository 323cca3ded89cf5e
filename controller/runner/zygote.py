"""Imports pyinfra once, then forks one short-lived child per job. Runs no job itself.

pyinfra's state is process-global, so a process per job is its natural size; forking from a process that
already imported it makes that cheap. This file only uses plain system calls, through gevent's originals:
a gevent hub that existed before the fork would be shared by all children.

Protocol, one JSON object per line. Standard input: `{"job": {…}}` or `{"cancel": "id"}`. Standard output:
`{"hello": pid}`, then events `{"job": id, "kind": …, "data": {…}}`; each job ends with exactly one
`result` or `error`. End of input kills all children.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gevent import monkey

_fork = monkey.get_original("os", "fork")
_waitpid = monkey.get_original("os", "waitpid")
_poll = monkey.get_original("select", "poll")
_monotonic = time.monotonic

MAX_LINE = 1024 * 1024  # a longer line ends the job that sent it


@dataclass(slots=True)
class _Child:
    """A running job: its process, the read end of its event pipe, and what is left of an unfinished line."""

    job: str
    pid: int
    pipe: int
    deadline: float
    seconds: float
    rest: bytes = b""
    ended: bool = False  # result or error was passed on
    why: Mapping[str, Any] = field(default_factory=dict)  # the error to report if it dies without one


class Zygote:
    """The loop. `out` is the descriptor events go to; `run` is called in the child."""

    def __init__(self, source: int, out: int, limit: int) -> None:
        self._source = source
        self._out = out
        self._limit = limit
        self._rest = b""
        self._waiting: deque[dict[str, Any]] = deque()
        self._children: dict[int, _Child] = {}  # by pipe

    def serve(self) -> None:
        """Until standard input ends."""
        self._write({"hello": os.getpid()})
        try:
            while self._step():
                pass
        finally:
            for child in self._children.values():
                _kill(child.pid)

    def _step(self) -> bool:
        poll = _poll()
        poll.register(self._source, select.POLLIN)
        for pipe in self._children:
            poll.register(pipe, select.POLLIN)
        for descriptor, _ in poll.poll(self._patience()):
            if descriptor == self._source:
                if not self._read_orders():
                    return False
            elif descriptor in self._children:
                self._read_events(self._children[descriptor])
        self._expire()
        while self._waiting and len(self._children) < self._limit:
            self._start(self._waiting.popleft())
        return True

    def _patience(self) -> float | None:
        """Milliseconds until the next deadline."""
        nearest = min((child.deadline for child in self._children.values()), default=None)
        return None if nearest is None else max(0.0, (nearest - _monotonic()) * 1000 + 1)

    def _read_orders(self) -> bool:
        data = os.read(self._source, 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "job" in order:
                self._waiting.append(order["job"])
            else:
                self._cancel(order["cancel"])
        return bool(data)

    def _cancel(self, job: str) -> None:
        waiting = [order for order in self._waiting if order["id"] == job]
        for order in waiting:
            self._waiting.remove(order)
            self._event(job, "error", _CANCELLED)
        for child in self._children.values():
            if child.job == job:
                child.why = _CANCELLED
                _kill(child.pid)

    def _expire(self) -> None:
        now = _monotonic()
        for child in self._children.values():
            if child.deadline <= now:
                child.why = _error(
                    "unreachable",
                    f"the job did not end within {child.seconds:g} s and was stopped",
                    "run the command again: every step is checked before it is repeated",
                )
                child.deadline = now + 5
                _kill(child.pid)

    def _start(self, job: dict[str, Any]) -> None:
        read_end, write_end = os.pipe()
        pid = _fork()
        if pid == 0:
            os.close(read_end)
            for descriptor in (self._source, self._out, *self._children):
                os.close(descriptor)
            _become_child(job, write_end)
        os.close(write_end)
        seconds = float(job["deadline"])
        self._children[read_end] = _Child(job["id"], pid, read_end, _monotonic() + seconds, seconds)

    def _read_events(self, child: _Child) -> None:
        data = os.read(child.pipe, 65536)
        *lines, child.rest = (child.rest + data).split(b"\n")
        for line in lines:
            self._pass_on(child, line)
        if not data:
            self._reap(child)
        elif len(child.rest) > MAX_LINE:
            child.why = _error("bug", "the job sent an endless line", "report this: it is our bug")
            _kill(child.pid)

    def _pass_on(self, child: _Child, line: bytes) -> None:
        event = json.loads(line)
        if child.ended or child.why:
            return  # after the end, or after it was told to stop: one ending per job
        child.ended = event["kind"] in ("result", "error")
        self._event(child.job, event["kind"], event["data"])

    def _reap(self, child: _Child) -> None:
        os.close(child.pipe)
        del self._children[child.pipe]
        _kill(child.pid)  # anything it left behind in its group
        _, status = _waitpid(child.pid, 0)
        if not child.ended:
            self._event(child.job, "error", child.why or _died(status))

    def _event(self, job: str, kind: str, data: Mapping[str, Any]) -> None:
        self._write({"job": job, "kind": kind, "data": data})

    def _write(self, value: Mapping[str, Any]) -> None:
        data = json.dumps(value).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]


def _become_child(job: dict[str, Any], pipe: int) -> None:
    """Run one job and leave; never returns into the zygote's loop."""
    status = 1
    try:
        os.setsid()
        _die_with_parent()
        from controller.runner.job import run

        run(job, pipe)
        status = 0
    finally:
        os._exit(status)


def _die_with_parent() -> None:
    """Have Linux kill this process when the zygote is gone, even by kill -9. Other systems lack this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group exists once the child has called setsid
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _died(status: int) -> Mapping[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return _error(
        "unreachable",
        f"the job's process {how}; what it did on the machine is not known",
        "run the command again: the machine is looked at before anything is repeated",
    )


def _error(slug: str, what: str, fix: str) -> Mapping[str, Any]:
    return {"slug": slug, "what": what, "fix": fix}


_CANCELLED = _error("cancelled", "the job was cancelled", "run the command again to finish it")


def main() -> None:
    """Keep standard output for events alone, import what jobs need, serve."""
    events = os.dup(1)
    os.dup2(2, 1)  # whatever prints, prints to the log
    orders = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    from controller.runner import job

    job.preload()
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 4 * (os.cpu_count() or 1)
    Zygote(orders, events, limit).serve()
