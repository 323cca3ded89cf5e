"""Listens while enrolment is open, and not a moment longer. What the store says is what counts.

`keep_enrollment` for `cto serve`, `host_while_open` for a command; both hold the lock, so there is one.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from controller.app.enrollment.desk import LOOK, Desk
from controller.app.enrollment.identity import identity
from controller.app.services import Services
from controller.store.base import iso
from controller.store.lock import HostLock
from inventory.errors import BusyError, FleetError
from web.ports import EnrollWindowView

PENDING_LIFE = timedelta(minutes=60)  # a machine that was not seen for so long no longer waits
_RETRY = 5.0
_SOURCES = 1000  # addresses that are told apart meanwhile
_FLOOD = 10.0  # seconds: connections that came too often are told of together


async def keep_enrollment(services: Services) -> None:
    """For ever: listens whenever enrolment is open."""
    while True:
        try:
            lock = HostLock.acquire(services.home)
        except BusyError:  # `cto enroll open` does it; when that ends, it is our turn
            await services.clock.sleep(_RETRY)
            continue
        with lock:
            while True:
                await host(services)
                await services.clock.sleep(LOOK)


async def host_while_open(services: Services, *, tick: Callable[[], None]) -> None:
    """Until enrolment is closed or its time is over; opened again meanwhile, where and until when change."""
    while open_window(services) is not None:
        await host(services, tick=tick)


async def host(services: Services, *, tick: Callable[[], None] = lambda: None) -> None:
    """Listens for one opening and returns when that is over; at once if it is closed.

    `tick` is called about twice a second. The caller holds the lock.
    """
    window = open_window(services)
    if window is None:
        return
    try:
        async with _listening(services, window):
            await _until_over(services, window, tick)
    except FleetError as error:
        services.store.note_listener(pid=os.getpid(), endpoints=(), problem=str(error))
        await _until_over(services, window, tick)
    finally:
        services.store.note_listener(pid=0, endpoints=(), problem=_problem(services))
    if (now := open_window(services)) is None or now.opened_at != window.opened_at:
        services.store.close_enrollment(actor="engine", reason="its time is over", opened_at=window.opened_at)


def open_window(services: Services) -> EnrollWindowView | None:
    """The opening that holds now."""
    window = services.store.enrollment_window()
    return window if window is not None and window.is_open(iso(services.clock.now())) else None


def _problem(services: Services) -> str:
    window = services.store.enrollment_window()
    return window.problem if window is not None else ""


@asynccontextmanager
async def _listening(services: Services, window: EnrollWindowView) -> AsyncIterator[None]:
    network, shown = services.enrollment, identity(services)
    desk = Desk(services, shown)
    floods: Counter[tuple[str, str]] = Counter()

    def refused(reason: str, address: str, detail: str) -> None:
        if reason == "flood":
            floods[(address, detail) if len(floods) < _SOURCES else ("many addresses", "")] += 1
        else:
            desk.refused(reason, address, detail)

    telling = asyncio.ensure_future(_tell_floods(services, desk, floods))
    addresses = network.addresses(window.interfaces)
    name = f"cto-{services.store.controller_id()[:8]}"
    try:
        async with (
            network.listen(addresses, window.port, shown, attend=desk.attend, refused=refused) as endpoints,
            network.announce(
                name, endpoints, shown.pin.hex()[:16], rivals=services.store.note_rivals
            ) as problem,
        ):
            services.store.note_listener(pid=os.getpid(), endpoints=_texts(endpoints), problem=problem)
            yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        _flush(desk, floods)


async def _until_over(services: Services, window: EnrollWindowView, tick: Callable[[], None]) -> None:
    looked = float("-inf")
    while (now := open_window(services)) is not None and now.opened_at == window.opened_at:
        if services.clock.monotonic() - looked > 60:
            services.store.expire_enrollments(services.clock.now() - PENDING_LIFE)
            looked = services.clock.monotonic()
        tick()
        await services.clock.sleep(LOOK)


async def _tell_floods(services: Services, desk: Desk, floods: Counter[tuple[str, str]]) -> None:
    while True:
        await services.clock.sleep(_FLOOD)
        _flush(desk, floods)


def _flush(desk: Desk, floods: Counter[tuple[str, str]]) -> None:
    """A flood from many addresses is one line: the list and the log must not be flooded, too."""
    found, many = dict(floods), len(floods) > 5
    floods.clear()
    if many:
        desk.refused("flood", "many addresses", f"{len(found)} of them", times=sum(found.values()))
        return
    for (address, detail), times in found.items():
        desk.refused("flood", address, detail, times=times)


def _texts(endpoints: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in endpoints)
