"""Rollouts inside an engine: one driver for each that is under way. The lock is the same as for `cto apply`.

`cto rollout start` is an engine until its rollout is over, or follows the one that is at work; `cto serve`
runs all of them. Knows no step of a rollout.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from controller.app.apply import begin_engine, see_through, work
from controller.app.rollout import Driver
from controller.app.rollout_save import kind_of, subject_of
from controller.app.rollout_view import document
from controller.app.services import Services
from controller.app.windows import keep_calendar
from controller.core.rollout.codec import dump_cluster, dump_head, load_parts
from controller.core.rollout.messages import Command, Event, Verb
from controller.core.rollout.step import settled
from controller.core.rollout.verbs import obey
from controller.store import EngineLock
from controller.store.rollouts_read import RolloutRow
from inventory.errors import BusyError, FleetError, RefusedError, StoreError

_TICK = 0.25
_AGAIN = 30.0  # seconds after which a driver that stopped with an error is started anew
_THREADS = 64  # questions to Kubernetes APIs at a time: one that hangs must not make the others wait


async def drive_all(services: Services, *, until: str = "") -> None:
    """Every rollout that is under way, for ever; or until `until` is over. The caller is the engine."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    running: dict[str, asyncio.Task[None]] = {}
    paused: dict[str, float] = {}
    store, clock = services.store, services.clock
    try:
        while True:
            for row in store.open_rollouts() if not store.observe_only() else ():
                if row.id not in running and clock.monotonic() >= paused.get(row.id, 0.0):
                    running[row.id] = asyncio.ensure_future(Driver(services, row.id).run())
            for name, task in list(running.items()):
                if task.done():
                    del running[name]
                    paused[name] = clock.monotonic() + _AGAIN
                    _outcome(services, name, task)
            if until and until not in running and store.rollout(until).over:
                return
            await clock.sleep(_TICK)
    finally:
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)


def _outcome(services: Services, name: str, task: "asyncio.Task[None]") -> None:
    """What stopped one rollout does not stop the others, unless it stops the engine itself."""
    try:
        task.result()
    except (StoreError, BusyError):
        raise
    except FleetError as error:
        services.store.event("RolloutStandsStill", f"rollout/{name}", f"{error.what}; {error.fix}")


async def run_or_follow(services: Services, rollout: str, on_update: Callable[[], None]) -> RolloutRow:
    """Until the rollout is over. `on_update` is called about four times a second."""
    if services.store.observe_only():
        raise RefusedError(
            "after a restore nothing is changed until every node was read",
            fix="run `cto apply`, which reads them first",
        )

    def ended() -> RolloutRow | None:
        row = services.store.rollout(rollout)
        return row if row.over else None

    return await see_through(services, ended, lambda: _as_engine(services, rollout), on_update)


async def _as_engine(services: Services, rollout: str) -> None:
    """Runs that others queue are carried out, too."""
    parts = [
        asyncio.ensure_future(drive_all(services, until=rollout)),
        asyncio.ensure_future(work(services)),
        asyncio.ensure_future(keep_calendar(services)),
    ]
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in parts:
            task.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


def obey_now(services: Services, rollout: str) -> bool:
    """Takes orders down at once where no engine is at work; False: one is, and takes them itself.

    Only the state changes: what follows on nodes is done by the next engine.
    """
    try:
        lock = EngineLock.acquire(services.home)
    except BusyError:
        return False
    with lock:
        begin_engine(services)
        store = services.store
        row = store.rollout(rollout)
        state = load_parts(row.head, store.rollout_bodies(rollout).values())
        events: list[Event] = []
        orders = store.rollout_commands(rollout)
        before = dict(state.clusters)
        for each in orders:
            said = Command(each.id, Verb(each.verb), each.actor, each.reason, each.cluster, each.wave)
            state, told = obey(state, said, state.clock)
            events += told
        changed = {n: dump_cluster(c) for n, c in state.clusters.items() if before[n] is not c}
        with store.rollout_turn(rollout) as turn:
            for event in events:
                turn.tell(kind_of(event), subject_of(state, event), event.text, event.data)
            turn.save(
                status=str(state.status),
                head=dump_head(state),
                summary=document(state),
                clusters=changed,
                over=settled(state),
            )
            turn.obeyed(each.id for each in orders)
    return True
