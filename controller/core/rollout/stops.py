"""Which versions one component goes through: adjacent minors only, and only as their publisher allows. Pure.

Knows nothing of pairs of Talos and Kubernetes: `versions` walks those.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence

from inventory.errors import RefusedError
from inventory.versions import TESTED_TALOS, minor

# Version → minors ("1.12") from which its publisher allows one step to it. Not there or empty: any.
Origins = Mapping[str, Sequence[str]]
_MOST = 3  # limits that are told


def key(version: str) -> tuple[int, ...]:
    """For comparing: a pre-release comes before its release."""
    core, _, pre = version.partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    return (*numbers, 0, *(int(p) for p in pre.split(".") if p.isdigit())) if pre else (*numbers, 1)


def newer(one: str, other: str) -> bool:
    return key(one) > key(other)


def way(what: str, have: str, want: str, releases: Collection[str], origins: Origins) -> tuple[str, ...]:
    """Versions to go through, the first being the present one: as few as may be, each as new as may be."""
    if have == want:
        return (have,)
    if newer(have, want):
        raise RefusedError(
            f"{what} {have} does not go back to {want} by an upgrade",
            fix="cto rollout rollback takes nodes back to what they ran before",
        )
    between = [each for each in releases if newer(each, have) and newer(want, each)]
    newest_first = (want, *sorted(set(between), key=key, reverse=True))
    came: dict[str, str] = {have: ""}
    queue = deque([have])
    while queue and want not in came:
        here = queue.popleft()
        for there in newest_first:
            if there not in came and _reaches(here, there, origins):
                came[there] = here
                queue.append(there)
    if want not in came:
        raise _no_way(what, have, want, newest_first, origins)
    return tuple(reversed(tuple(_back(came, want))))


def _reaches(here: str, there: str, origins: Origins) -> bool:
    allowed = origins.get(there)
    adjacent = minor(there) - minor(here) in (0, 1) and newer(there, here)
    return adjacent and (not allowed or f"1.{minor(here)}" in allowed)


def _back(came: Mapping[str, str], at: str) -> Iterator[str]:
    while at:
        yield at
        at = came[at]


def _no_way(what: str, have: str, want: str, known: Collection[str], origins: Origins) -> RefusedError:
    minors = {minor(each) for each in known}
    for number in range(minor(have) + 1, minor(want)):
        if number not in minors:
            tested = TESTED_TALOS.get(number, "") if what == "Talos" else ""
            return RefusedError(
                f"from {what} {have} to {want} every minor is a stop, and no release of 1.{number} is known",
                fix=f"name one in full, with --via {tested or f'1.{number}.PATCH'}; or see whether the"
                " publisher has one: cto update check, or cto bundle import",
            )
    limits = [f"{each} from {', '.join(origins[each])}" for each in known if origins.get(each)]
    return RefusedError(
        f"no way leads from {what} {have} to {want}: its publisher allows {'; '.join(limits[:_MOST])}",
        fix="take another target (cto update list), or name another stop with --via",
    )
