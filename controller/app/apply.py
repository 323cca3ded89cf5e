"""Orders a run and sees it to its end: as the engine if nobody else is, else by following the engine.

Two commands at once never act twice: runs wait in the store, and whoever holds the engine lock does them
in order.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from controller.app.notifying import telling
from controller.app.run import execute
from controller.app.services import Services
from controller.app.snapshots import policies_of
from controller.app.windows import declare_calendars, site_calendars
from controller.store import EngineLock, RunRow
from inventory.errors import BusyError, FleetError, StoreError
from inventory.resolve import load_files
from inventory.selectors import Selection

FINAL = ("done", "failed", "partly", "cancelled")
_TICK = 0.25  # seconds between looks at the store; the store is on this machine
T = TypeVar("T")


def submit(
    services: Services,
    texts: Mapping[str, str],
    selection: Selection,
    *,
    actor: str,
    kind: str = "apply",
    until: str = "",
    options: Mapping[str, Any] | None = None,
) -> str:
    """Declares what the files say and queues the run; returns its id. The texts travel in the run, so that
    another process can carry it out and a later edit of a file does not change a queued run. `until`: the
    state after which nodes wait for another run; `options`: what else this kind of run needs to know.
    """
    resolved = load_files(texts)
    services.store.declare(resolved.fleet, actor=actor)
    calendars = site_calendars(resolved.fleet, resolved.windows, resolved.blackouts)
    declare_calendars(services, calendars, actor=actor)
    services.store.declare_snapshot_policies(policies_of(resolved.fleet))
    said = {"texts": dict(texts), "until": until, **(options or {})}
    return services.store.queue_run(kind, selection.to_dict(), actor=actor, options=said)


async def run_or_follow(services: Services, run_id: str, on_update: Callable[[], None]) -> RunRow:
    """Until the run is finished. `on_update` is called about four times a second."""

    def ended() -> RunRow | None:
        row = services.store.get_run(run_id)
        return row if row.state in FINAL else None

    return await see_through(services, ended, lambda: work(services, until=run_id), on_update)


async def see_through(
    services: Services,
    ended: Callable[[], T | None],
    as_engine: Callable[[], Awaitable[None]],
    on_update: Callable[[], None],
) -> T:
    """What has `ended`: carried out as the engine, or awaited while another one is at work. Who only follows
    and can't show it any more (`on_update` fails) ends by that; an engine goes on.
    """
    ticker = asyncio.ensure_future(_ticking(services, on_update))
    try:
        while True:
            found = ended()
            if found is not None:
                return found
            if ticker.done():
                ticker.result()
            try:
                lock = EngineLock.acquire(services.home)
            except BusyError:
                await services.clock.sleep(_TICK)
                continue
            with lock:
                begin_engine(services)
                async with telling(services):
                    await as_engine()
    finally:
        ticker.cancel()
        on_update()


async def _ticking(services: Services, on_update: Callable[[], None]) -> None:
    while True:
        on_update()
        await services.clock.sleep(_TICK)


def begin_engine(services: Services) -> None:
    """What a new engine does first: raise the epoch, and close what an engine that died left open. Those
    steps are not known to be done: their next attempt observes before it acts.
    """
    store = services.store
    store.start_engine(os.getpid())
    for step in store.open_steps():
        store.finish(step, outcome="indeterminate", detail={"what": "the controller ended during this step"})
    for run in store.interrupted_runs():
        store.finish_run(
            run.id, "cancelled", {"what": "the controller ended; run the command again to resume"}
        )


async def work(services: Services, *, until: str = "") -> None:
    """Carries out queued runs in order: until the run `until` is finished, or for ever if it is empty."""
    while True:
        row = services.store.next_run()
        if row is not None:
            await _one(services, row)
        elif until and services.store.get_run(until).state in FINAL:
            return
        else:
            await services.clock.sleep(_TICK)


async def _one(services: Services, row: RunRow) -> None:
    body: dict[str, Any] = {"kind": row.kind, "selection": row.selection, **row.options}
    task = asyncio.ensure_future(execute(services, row.id, body))
    watcher = asyncio.ensure_future(_cancel_on_request(services, row.id, task))
    try:
        verdict = await task
    except asyncio.CancelledError:
        asked = services.store.requested_cancel(row.id)
        services.store.finish_run(
            row.id, "cancelled", {"what": asked or "stopped by its operator; run it again to resume"}
        )
        if not asked:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
    except FleetError as error:
        services.store.finish_run(row.id, "failed", {"what": str(error), "slug": error.slug})
        if isinstance(error, StoreError):
            raise
    else:
        services.store.finish_run(
            row.id, verdict.state, {"done": verdict.done, "failed": dict(verdict.failed)}
        )
    finally:
        watcher.cancel()


async def _cancel_on_request(services: Services, run_id: str, task: "asyncio.Future[Any]") -> None:
    while not services.store.requested_cancel(run_id):
        await services.clock.sleep(_TICK)
    task.cancel()
