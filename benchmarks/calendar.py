"""`python -m benchmarks.calendar [--years 2025 2027] [--zones N] [--report FILE]`: the maintenance calendar over
every zone and every day.

Each window is laid out in each set of rules of the zone database, on each day; each occurrence is held to the
promises, and around every change of the clocks to the oracle of the tests, which shares no code with it. One
process for each processor. Exit code 1 if a single one is wrong.
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

from controller.core.calendar.instants import wall
from controller.core.calendar.occurrences import Occurrence, occurrences
from controller.core.calendar.zones import database_version, zone
from inventory.calendar import MaintenanceWindow
from tests.unit.core.calendar import oracle
from tests.unit.core.calendar.support import window

TIMES = (
    ("00:00", "02:00"),
    ("02:00", "04:00"),
    ("23:00", "05:00"),
    ("00:00", "01:00"),
    ("02:00", "03:00"),
    ("02:30", "02:45"),
    ("00:00", "00:00"),
)
WINDOWS = tuple(window(*each) for each in TIMES)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calendar", description=__doc__)
    parser.add_argument("--years", type=int, nargs=2, default=(2025, 2027), help="first and last")
    parser.add_argument("--zones", type=int, default=0, help="only so many; 0: all")
    parser.add_argument("--report", type=Path, help="write the figures there as Markdown")
    options = parser.parse_args()
    names = oracle.places()[: options.zones or None]
    began = time.perf_counter()
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(one_zone, names, [tuple(options.years)] * len(names), chunksize=4):
            counts += found
    seconds = time.perf_counter() - began
    text = report(counts, len(names), tuple(options.years), seconds)
    print(text)
    if options.report:
        options.report.write_text(text)
    return 1 if counts["broken promises"] or counts["differ from the oracle"] else 0


def one_zone(name: str, years: tuple[int, int]) -> Counter[str]:
    """Every window on every day of one zone."""
    here, counts = zone(name), Counter[str]()
    first, last = date(years[0], 1, 1), date(years[1], 12, 31)
    for each in WINDOWS:
        before: Occurrence | None = None
        for found in occurrences(each, here, first, last):
            counts["occurrences"] += 1
            counts[str(found.status)] += 1
            if not promises_kept(found, before, each, name):
                counts["broken promises"] += 1
                print("broken promise:", name, found, file=sys.stderr)
            before = found
    for change in oracle.transitions(name, *years):
        wall_clock = oracle.WallClock(name, change - timedelta(days=3), change + timedelta(days=4))
        for each in WINDOWS:
            day = change.date()
            for found in occurrences(each, here, day - timedelta(days=1), day + timedelta(days=1)):
                counts["compared with the oracle"] += 1
                begin = datetime.combine(found.day, clock_time.fromisoformat(each.start))
                if (found.start, found.end) != wall_clock.opening(begin, each.minutes):
                    counts["differ from the oracle"] += 1
                    print("differs:", name, found, file=sys.stderr)
    return counts


def promises_kept(found: Occurrence, before: Occurrence | None, each: MaintenanceWindow, name: str) -> bool:
    """Not longer, not earlier and not later than the wall clock says, not over the one before it."""
    here = zone(name)
    begin = datetime.combine(found.day, clock_time.fromisoformat(each.start))
    nominal = timedelta(minutes=each.minutes)
    if before is not None and before.end > found.start:
        return False
    if found.end <= found.start:
        return True
    return (
        found.end - found.start <= nominal
        and wall(found.start, here) >= begin
        and wall(found.end - timedelta(minutes=1), here) < begin + nominal
    )


def report(counts: Counter[str], zones: int, years: tuple[int, int], seconds: float) -> str:
    rate = counts["occurrences"] / seconds
    rows = "".join(
        f"| {name} | {counts[name]:,} |\n"
        for name in (
            "occurrences",
            "open",
            "shortened",
            "skipped",
            "broken promises",
            "compared with the oracle",
            "differ from the oracle",
        )
    )
    return (
        "# The maintenance calendar over all zones\n\n"
        "Made by `python -m benchmarks.calendar --report docs/reports/calendar.md`.\n\n"
        f"{len(WINDOWS)} windows ({', '.join(f'{start} to {end}' for start, end in TIMES)}) on every day of "
        f"{years[0]} to {years[1]},\nin each of the {zones} different sets of rules of tzdata {database_version()}. "
        "The oracle (`tests/unit/core/calendar/oracle.py`) shares\nno code with the calendar.\n\n"
        f"| | |\n|---|---|\n{rows}| seconds | {seconds:.0f} |\n| occurrences a second, {os.cpu_count()} processors | {rate:,.0f} |\n"
    )


if __name__ == "__main__":
    sys.exit(main())
