"""Acts that take two people: how many could be the second, and what stands in for one where nobody could.

Counts accounts only. The rules themselves are with each act: in `core.calendar.overrides` for an override, in
`core.rollout.verbs` for a wave.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from controller.store import people_read
from web.access.grants import Level, labels_of
from web.ports import SiteView


def eligible(
    rows: Callable[[str, Sequence[Any]], list[Any]], sites: Sequence[SiteView], wanted: Collection[str]
) -> int:
    """Everybody who can log in and is an operator at all `wanted` sites; nobody is fewer than one.

    The one who asks counts, also if that is the operator of this computer, who needs no account.
    """
    known = {site.name: site.labels for site in sites}
    places = [labels_of(name, known.get(name, {})) for name in wanted]
    able = [
        each
        for each in people_read.account_views(rows)
        if each.has_password
        and not each.disabled
        and all(
            any(grant.level >= Level.OPERATOR and grant.covers(place) for grant in each.grants)
            for place in places
        )
    ]
    return max(1, len(able))


def person_of(actor: str) -> str:
    """A token is not another person than its owner."""
    kind, _, rest = actor.partition(":")
    return f"user:{rest.partition(':')[2]}" if kind == "token" else actor
