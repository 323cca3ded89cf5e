"""The `Runner` port: pyinfra jobs in a subprocess. Imports neither pyinfra nor gevent.

The subprocess (`python -m controller.runner`) starts with the first job, and again if it dies. A job that it
took along ends with an `error` event of slug `unreachable`: what was done is not known, so look first.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any, Literal

from controller.app.ports import Job, RunnerEvent, Ssh
from inventory.errors import FleetError, InvariantError, Unreachable

Kind = Literal["started", "operation", "output", "result", "error"]
_GRACE = 10  # seconds after a job's own deadline before the client gives up on its runner
_MAX_LINE = 4 * 1024 * 1024
_ENDS = ("result", "error")


class ProcessRunner:
    """Jobs on one zygote process. `ssh` is asked for the way to a machine behind a jump host."""

    def __init__(
        self,
        key_path: Path,
        ssh: Ssh,
        *,
        log: Path | None = None,
        limit: int = 0,
        python: str = sys.executable,
    ) -> None:
        """`log` takes what the runner prints; `limit`: jobs at the same time (0: four per core)."""
        self._key_path = key_path
        self._ssh = ssh
        self._log = log
        self._limit = limit or 4 * (os.cpu_count() or 1)
        self._python = python
        self._zygote: _Zygote | None = None
        self._starting = asyncio.Lock()
        self._count = itertools.count()

    async def run(self, job: Job) -> AsyncGenerator[RunnerEvent, None]:
        """Events until `result` or `error`. Use `contextlib.aclosing`: closing kills the process group."""
        async with self._ssh.forward(job.target, job.target.port) as (host, port):
            zygote = await self._alive()
            order = self._order(job, host, port)
            async with aclosing(zygote.run(order, patience=job.deadline + _GRACE)) as events:
                async for kind, data in events:
                    yield RunnerEvent(job.id, kind, data)

    async def close(self) -> None:
        if self._zygote is not None:
            await self._zygote.stop()
            self._zygote = None

    def _order(self, job: Job, host: str, port: int) -> Mapping[str, Any]:
        return {
            "id": f"{job.id}#{next(self._count)}",  # unique even if a cancelled job is asked for again
            "deploy": job.deploy,
            "data": dict(job.data),
            "deadline": job.deadline,
            "dry_run": job.dry_run,
            "name": job.target.name,
            "host": host,
            "port": port,
            "user": job.target.user,
            "host_key": job.target.host_key,
            "key_path": str(self._key_path),
        }

    async def _alive(self) -> "_Zygote":
        async with self._starting:
            if self._zygote is None or self._zygote.dead:
                self._zygote = await _Zygote.start(self._python, self._limit, self._log)
            return self._zygote


_Event = tuple[Kind, Mapping[str, Any]]


class _Zygote:
    """One running subprocess and the queues of the jobs it has."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._queues: dict[str, asyncio.Queue[_Event]] = {}
        self._reader = asyncio.create_task(self._read())
        self.dead = False

    @classmethod
    async def start(cls, python: str, limit: int, log: Path | None) -> "_Zygote":
        with _open(log) as errors:
            process = await asyncio.create_subprocess_exec(
                python,
                "-m",
                "controller.runner",
                str(limit),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C in the terminal is for the controller to handle
                limit=_MAX_LINE,
            )
        if process.stdout is None or not await process.stdout.readline():
            raise _not_started(await process.wait(), log)
        return cls(process)

    async def run(self, order: Mapping[str, Any], *, patience: float) -> AsyncGenerator[_Event, None]:
        job = str(order["id"])
        queue = self._queues[job] = asyncio.Queue()
        ended = False
        seconds: float | None = None  # a job may wait for its turn as long as it takes
        try:
            self._send({"job": order})
            while not ended:
                event = await _next(queue, seconds)
                ended = event[0] in _ENDS
                seconds = patience
                yield event
        finally:
            del self._queues[job]
            if not ended:
                self._send({"cancel": job})

    async def stop(self) -> None:
        """Closing its standard input makes it kill its jobs and leave."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self._reader

    def _send(self, order: Mapping[str, Any]) -> None:
        if self._process.stdin is not None and not self.dead:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self) -> None:
        stream = self._process.stdout
        while stream is not None and (line := await stream.readline()).endswith(b"\n"):
            message = json.loads(line)
            queue = self._queues.get(message["job"])
            if queue is not None:
                queue.put_nowait((message["kind"], message["data"]))
        self.dead = True
        status = await self._process.wait()
        what = f"the pyinfra runner died (status {status}); what the job did is not known"
        for queue in self._queues.values():
            queue.put_nowait(_lost(what))


async def _next(queue: asyncio.Queue[_Event], seconds: float | None) -> _Event:
    try:
        async with asyncio.timeout(seconds):
            return await queue.get()
    except TimeoutError:
        return _lost("the pyinfra runner does not answer; what the job did is not known")


def _lost(what: str) -> _Event:
    fix = "run the command again: the machine is looked at before anything is repeated"
    return "error", {"slug": Unreachable.slug, "what": what, "where": "", "fix": fix}


def _not_started(status: int, log: Path | None) -> FleetError:
    """A signal came from somebody, or from a machine short of memory: the next one may start."""
    if status < 0:
        what = f"the pyinfra runner was killed by {signal.Signals(-status).name} while it started"
        return Unreachable(what, fix="run the command again; if it repeats, see whether memory is short")
    fix = f"see {log}" if log else "run python -m controller.runner to see why"
    return InvariantError("the pyinfra runner does not start", fix=fix)


def _open(log: Path | None) -> IO[bytes]:
    if log is None:
        return Path(os.devnull).open("wb")
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return log.open("ab")
