"""Tells people what happens: events become deliveries, and deliveries are handed over, again if need be.

At a tick of its own, beside the engine: a mail server that hangs holds nothing up. A delivery has one id for
all its attempts. It is marked after it was handed over, so a controller that is killed in between hands it
over once more with the same id; it is never lost.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from controller.app.services import Services
from controller.core.topics import Message, checked, topic_of
from controller.store.notifications import Delivery
from inventory.errors import BusyError, FleetError, OperatorError, RefusedError

EVERY = 2.0  # seconds between two ticks
_FIRST, _LONGEST = timedelta(seconds=10), timedelta(hours=1)
_ATTEMPTS = 12  # about five hours in all
_MOST = 20  # notifiers


def add(
    services: Services,
    name: str,
    kind: str,
    settings: Mapping[str, str],
    topics: tuple[str, ...],
    secret: str,
    *,
    actor: str,
) -> Mapping[str, str]:
    """Checks and keeps it; returns the settings as completed. The same name again changes it."""
    way = services.notifiers.get(kind)
    unknown = set(settings) - set(way.fields)
    if unknown:
        raise OperatorError(
            f"{kind} has no setting {', '.join(sorted(unknown))}", fix=f"it has {', '.join(way.fields)}"
        )
    complete = way.check(settings)
    known = {row.name: row for row in services.store.notifiers()}
    if name not in known and len(known) >= _MOST:
        raise RefusedError(f"there are {_MOST} notifiers already", fix="remove one: cto notify remove NAME")
    if way.needs_secret and not secret and not services.store.has_secret(_secret_name(name)):
        raise OperatorError(f"{kind} needs {way.secret}", fix="give --secret-file FILE, or answer when asked")
    chosen = checked(topics)
    if secret:
        services.store.put_secret(_secret_name(name), secret.encode(), actor=actor)
    services.store.put_notifier(name, kind, complete, chosen, actor=actor)
    return complete


def try_out(services: Services, name: str) -> None:
    """Sends one message at once, and raises what went wrong."""
    row = next((row for row in services.store.notifiers() if row.name == name), None)
    if row is None:
        raise OperatorError(f"there is no notifier {name!r}", fix="see `cto notify list`")
    at = services.clock.now().isoformat(timespec="seconds")
    message = Message(
        services.new_id(), at, "hands", "Test", "controller", "this is a test; nothing is wrong"
    )
    _hand_over(services, row.name, row.kind, row.settings, message)


async def keep_notifying(services: Services, *, every: float = EVERY) -> None:
    """Ticks for ever. While another program has the store locked, a tick is left out."""
    while True:
        with suppress(BusyError):
            await tick(services)
        await services.clock.sleep(every)


@asynccontextmanager
async def telling(services: Services) -> AsyncIterator[None]:
    """Ticks while something runs in the foreground, and once more at its end."""
    ticking = asyncio.ensure_future(keep_notifying(services))
    try:
        yield
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        with suppress(BusyError):
            await tick(services)


async def tick(services: Services) -> int:
    """Returns how many were handed over. One after the other to one receiver, receivers side by side."""
    services.store.note_deliveries(topic_of, services.new_id)
    due: dict[str, list[Delivery]] = {}
    for delivery in services.store.due_deliveries(services.clock.now()):
        due.setdefault(delivery.notifier, []).append(delivery)
    return sum(await asyncio.gather(*(_to_one(services, deliveries) for deliveries in due.values())))


async def _to_one(services: Services, deliveries: list[Delivery]) -> int:
    rows = {row.name: row for row in services.store.notifiers()}
    done = 0
    for delivery in deliveries:
        row = rows.get(delivery.notifier)
        if row is None:
            continue  # removed since
        message = _message(delivery)
        secret = _secret(services, row.name)
        way = services.notifiers.get(row.kind)
        try:
            await asyncio.to_thread(way.send, row.settings, secret, message)
        except FleetError as error:
            _failed(services, delivery, error)
            break  # the rest would most likely fail as well, and must not come before this one
        services.store.delivered(delivery)
        done += 1
    return done


def _failed(services: Services, delivery: Delivery, error: FleetError) -> None:
    give_up = isinstance(error, RefusedError) or delivery.attempts + 1 >= _ATTEMPTS
    wait = min(_LONGEST, _FIRST * 2**delivery.attempts) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    problem = f"{error.where}: {error.what}" if error.where else error.what
    services.store.not_delivered(delivery, problem, None if give_up else services.clock.now() + wait)


def _hand_over(
    services: Services, name: str, kind: str, settings: Mapping[str, str], message: Message
) -> None:
    services.notifiers.get(kind).send(settings, _secret(services, name), message)


def _message(delivery: Delivery) -> Message:
    topic = topic_of(delivery.kind)
    return Message(delivery.id, delivery.at, topic, delivery.kind, delivery.subject, delivery.message)


def _secret(services: Services, name: str) -> str:
    known = services.store.has_secret(_secret_name(name))
    return services.store.get_secret(_secret_name(name)).decode() if known else ""


def _secret_name(name: str) -> str:
    return f"notify/{name}"
