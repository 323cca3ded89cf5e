"""Looks at the release feed by itself, once a day unless told otherwise. Fetches no release: that is staging.

A look that fails is shown and tried again. It stops nothing else, and changes nothing that was accepted.
"""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

from controller.app import updates
from controller.app.services import Services
from controller.store.updates import Feed
from inventory.errors import BusyError, FleetError, OperatorError, StoreError

EVERY = 60.0  # seconds between questions whether one is due
MOST_HOURS = 31 * 24
_AGAIN = timedelta(hours=1)  # after a look that failed
_SPREAD = 0.1  # of the time between two: fleets that were set up together don't all ask at once


def schedule(services: Services, hours: int, *, actor: str) -> None:
    """`hours` between looks; 0: the controller never looks by itself, as where there is no network."""
    updates.trusted(services)
    if not 0 <= hours <= MOST_HOURS:
        raise OperatorError(f"{hours} hours is not 0 to {MOST_HOURS}", fix="24 is once a day; 0 is never")
    services.store.schedule_feed(hours, actor=actor)


def next_look(feed: Feed, controller: str) -> datetime | None:
    """When one is due; None: never. By whoever looked last, this keeper or a person."""
    if not feed.every_hours:
        return None
    last = max(feed.checked_at, feed.tried_at)
    if not last:
        return datetime.fromisoformat(feed.set_at)
    between = timedelta(hours=feed.every_hours)
    if feed.problem:
        return datetime.fromisoformat(last) + min(_AGAIN, between)
    return datetime.fromisoformat(last) + between * (1 - _SPREAD + 2 * _SPREAD * _share(controller, last))


def _share(controller: str, last: str) -> float:
    """From 0 up to 1: another one at each controller and each time."""
    number = int.from_bytes(hashlib.sha256(f"{controller}\0{last}".encode()).digest()[:6], "big")
    return number / (1 << 48)


async def keep_feed_looks(services: Services, *, every: float = EVERY) -> None:
    """For ever. While another program has the store locked, a tick is left out."""
    while True:
        with suppress(BusyError):
            await tick(services)
        await services.clock.sleep(every)


async def tick(services: Services) -> bool:
    """Looks if it is time to. Whether it did."""
    feed = services.store.feed()
    due = next_look(feed, services.store.controller_id()) if feed is not None else None
    if due is None or services.clock.now() < due:
        return False
    problem = ""
    try:
        await updates.check_beside(services)
    except (BusyError, StoreError):
        raise
    except FleetError as error:
        problem = f"{error.what}; {error.fix}" if error.fix else error.what
    services.store.note_look(problem)
    return True
