"""Facts from many machines: one round trip each. Decides nothing, stores nothing.

A machine's output is hostile until parsed: every fact is capped and framed by a boundary it can't guess,
and a fact that can't be read is a problem of that fact alone.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from controller.app.ssh_port import Clock, Ssh, Target
from facts import script
from facts.machine.clock import FACT as CLOCK
from facts.snapshot import Facts
from facts.spec import FactSpec
from inventory.errors import CommandFailed, NodeError

_MAX_BYTES = 1024 * 1024  # the facts' own caps are far below


@dataclass(frozen=True, slots=True)
class Gathered:
    """One machine's answer: facts, or the error instead."""

    target: Target
    at: datetime  # when the answer was there
    facts: Facts | None = None
    error: NodeError | None = None
    seconds: float = 0.0  # how long the round trip took


async def gather(
    ssh: Ssh,
    targets: Iterable[Target],
    specs: Sequence[FactSpec[Any]],
    *,
    clock: Clock,
    concurrency: int = 64,
) -> AsyncGenerator[Gathered, None]:
    """Each machine's answer as it comes. `concurrency`: machines worked on at the same time."""
    waiting = iter(targets)
    working: set[asyncio.Task[Gathered]] = set()
    # asyncio.wait would look at all that work each time one of them is done.
    done: asyncio.Queue[asyncio.Task[Gathered]] = asyncio.Queue()
    try:
        while True:
            for target in islice(waiting, concurrency - len(working)):
                task = asyncio.create_task(gather_one(ssh, target, specs, clock=clock))
                task.add_done_callback(done.put_nowait)
                working.add(task)
            if not working:
                return
            ended = await done.get()
            working.discard(ended)
            yield ended.result()
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def gather_one(ssh: Ssh, target: Target, specs: Sequence[FactSpec[Any]], *, clock: Clock) -> Gathered:
    """One machine's facts. An unreachable machine is an answer too; only a wrong set-up raises."""
    boundary = secrets.token_hex(16)
    started, before = clock.now(), clock.monotonic()
    try:
        done = await ssh.run(
            target,
            script.build(specs, boundary=boundary),
            deadline=script.deadline(specs),
            max_bytes=_MAX_BYTES,
        )
    except NodeError as error:
        return Gathered(target, clock.now(), error=error)
    took = clock.monotonic() - before
    ended = started + timedelta(seconds=took)
    raws = script.split(done.stdout, specs, boundary, stderr=done.stderr)
    if not raws:
        said = done.stderr[:200].decode("utf-8", "replace").strip()
        what = f"the machine ran no script (status {done.status}){': ' + said if said else ''}"
        failure = CommandFailed(what, where=target.name, fix="check that its login shell is a POSIX shell")
        return Gathered(target, ended, error=failure, seconds=took)
    facts = with_skew(script.parse_all(raws, specs), started, ended)
    return Gathered(target, ended, facts=facts, seconds=took)


def with_skew(facts: Facts, started: datetime, ended: datetime) -> Facts:
    """The clock fact with its skew: how far the machine's clock is off at least.

    It was read some time between the two moments, so a time between them is no proof of any skew. That
    never accuses a good clock, however slow the network or the script; it misses what is below `seconds`.
    """
    clock = facts.get(CLOCK)
    if clock is None:
        return facts
    nearest = min(max(clock.epoch, started.timestamp()), ended.timestamp())
    return facts.with_value(CLOCK, replace(clock, skew=round(clock.epoch - nearest, 3)))
