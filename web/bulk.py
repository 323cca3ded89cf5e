"""The same act on several things at once: which were ticked, and what is said of those that failed.

Whether somebody may do it is asked before, for all of them; nothing here acts by itself.
"""

import shlex
from collections.abc import Callable, Sequence

from flask import request

from inventory.errors import FleetError, OperatorError, RefusedError
from inventory.wording import count

MOST = 100  # in one request


def ticked(name: str, what: str) -> list[str]:
    """What was chosen in a form, each once."""
    chosen = list(dict.fromkeys(request.form.getlist(name)))
    if not chosen:
        raise OperatorError(f"no {what} was chosen", fix=f"tick each {what} that is meant")
    if len(chosen) > MOST:
        raise OperatorError(f"{len(chosen)} are too many at once", fix=f"choose at most {MOST}")
    return chosen


def each(chosen: Sequence[str], act: Callable[[str], object]) -> None:
    """Does it to every one, also where another fails; raises then, with the reason of each."""
    failed: dict[str, FleetError] = {}
    for one in chosen:
        try:
            act(one)
        except FleetError as error:
            failed[one] = error
    if failed:
        first = next(iter(failed.values()))
        reasons = "; ".join(f"{one}: {error.what}" for one, error in failed.items())
        done = count(len(chosen) - len(failed), "act")
        raise RefusedError(f"{done} done, {len(failed)} not. {reasons}"[:2000], fix=first.fix)


def command(start: str, chosen: Sequence[str], end: str = "") -> str:
    """One line for a shell that does the same, for a program that takes one name at a time."""
    names = " ".join(shlex.quote(one) for one in chosen)
    if len(chosen) == 1:
        return f"{start} {names}{end}"
    return f'for each in {names}; do {start} "$each"{end}; done'
