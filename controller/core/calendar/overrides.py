"""The rules of an emergency override: a reason, four hours at most, and a second person or ten minutes' wait.

Values in, values out; who may approve is the caller's business.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from inventory.calendar import Override
from inventory.errors import OperatorError, RefusedError

LONGEST = timedelta(hours=4)
ALONE = timedelta(minutes=10)  # to think again, where there is nobody to ask
_MIN_REASON = 8  # letters: a word or two, not "x"


def request(
    id_: str, site: str, *, reason: str, length: timedelta, actor: str, now: datetime, people: int
) -> Override:
    """`people`: how many could agree, the one who asks included. Alone, a delay stands in for the second."""
    said = checked_reason(reason)
    if not timedelta(minutes=1) <= length <= LONGEST:
        raise OperatorError(
            f"an override lasts from one minute to {LONGEST // timedelta(hours=1)} hours",
            fix="ask for less with --for, such as --for 2h; when it is over, ask again",
        )
    since = now + ALONE if people < 2 else now
    return Override(id_, site, said, actor, since, since + length, second=people > 1)


def approve(override: Override, *, actor: str, now: datetime) -> Override:
    """In effect from now on, for as long as was asked for."""
    if actor == override.actor:
        raise RefusedError(
            "whoever asks for an override can't be its second person",
            fix="let somebody else approve it, or wait until it takes effect",
        )
    if override.approved_by:
        raise RefusedError(f"{override.approved_by} has approved it already", fix="nothing is left to do")
    if now >= override.until:
        raise RefusedError("this override is over", fix="ask for a new one: cto window override")
    if override.agreed and now >= override.since:
        raise RefusedError("this override is in effect already", fix="nothing is left to do")
    return replace(override, since=now, until=now + (override.until - override.since), approved_by=actor)


def checked_reason(reason: str) -> str:
    """What an audit row will say for ever. Raises OperatorError for an empty word."""
    said = " ".join(reason.split())
    if len(said) < _MIN_REASON:
        raise OperatorError(
            f"{reason!r} is no reason that anybody will understand later",
            fix='say what is wrong and why it can not wait: --reason "disk of berlin-cp-2 is failing"',
        )
    return said
