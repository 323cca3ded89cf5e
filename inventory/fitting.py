"""Does the work that a policy expects fit into the windows of its sites? By their nominal lengths only.

Says what is wrong with a site file on every day alike, so it looks at no date: clocks that change and
blackouts are looked at when a window is near.
"""

from collections.abc import Iterable, Iterator

from inventory.calendar import MaintenanceWindow, UpdatePolicy

_DAY = 24 * 60
_WEEK = 7 * _DAY
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def needed_minutes(policy: UpdatePolicy) -> int:
    """A quarter more than one node is expected to take, and the reserve to undo it."""
    return -(-policy.expected_minutes * 5 // 4) + policy.reserve_minutes


def longest_minutes(windows: Iterable[MaintenanceWindow]) -> int:
    """The longest stretch that windows of one site make; those that touch count together."""
    zones: dict[str, list[MaintenanceWindow]] = {}
    for window in windows:
        zones.setdefault(window.timezone, []).append(window)
    return max((_longest(each) for each in zones.values()), default=0)


def fits(minutes: int, policy: UpdatePolicy) -> bool:
    """Also where the site begins latest: up to ten minutes or a tenth of the window after its start."""
    return needed_minutes(policy) * 60 + min(600, minutes * 6) <= minutes * 60


def unfit_sites(policy: UpdatePolicy, windows: Iterable[MaintenanceWindow]) -> Iterator[tuple[str, int]]:
    """(site, its longest stretch) where no window is long enough. Sites without windows are left out."""
    every = tuple(windows)
    for site in policy.sites:
        own = [window for window in every if site in window.sites]
        if own and not fits(longest := longest_minutes(own), policy):
            yield site, longest


def _longest(windows: Iterable[MaintenanceWindow]) -> int:
    """In one zone. The week is laid out twice, so that Sunday night runs on into Monday."""
    longest, start, end = 0, 0, -1
    for begin, minutes in sorted(_twice(windows)):
        if begin > end:
            start = begin
        end = max(end, begin + minutes)
        longest = max(longest, end - start)
    return min(longest, _WEEK)


def _twice(windows: Iterable[MaintenanceWindow]) -> Iterator[tuple[int, int]]:
    for window in windows:
        hours, minutes = window.start.split(":")
        for day in window.days:
            at = _DAYS.index(day) * _DAY + int(hours) * 60 + int(minutes)
            yield at, window.minutes
            yield at + _WEEK, window.minutes
