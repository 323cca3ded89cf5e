"""From wall-clock time to instants. The only place that knows of gaps and overlaps.

Local times are naive, instants are aware and in UTC: Python subtracts two times of one zone by the clock on
the wall, which is wrong by an hour twice a year.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

_SECOND = timedelta(seconds=1)


def first_pass(local: datetime, zone: tzinfo) -> datetime:
    """When the wall clock first shows `local`; if it never does, the first instant after the gap."""
    before = _offset(local, zone)
    after = _offset(local.replace(fold=1), zone)
    instant = (local - before).replace(tzinfo=UTC)
    # Fold 0 takes the offset before a change of offset: the first pass of an overlap.
    return instant if before >= after else _gap_end(local, local - after, instant, zone)


def day_start(day: date, zone: tzinfo) -> datetime:
    """The first instant of a local day."""
    return first_pass(datetime.combine(day, time()), zone)


def day_end(day: date, zone: tzinfo) -> datetime:
    """The first instant from which on the day is over: also where clocks go back over midnight."""
    midnight = datetime.combine(day + timedelta(days=1), time())
    first = first_pass(midnight, zone)
    second = (midnight - _offset(midnight.replace(fold=1), zone)).replace(tzinfo=UTC)
    returns = second > first and wall(second - _SECOND, zone) < midnight
    return second if returns else first


def wall(instant: datetime, zone: tzinfo) -> datetime:
    """What the wall clock shows."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(local: datetime, zone: tzinfo) -> timedelta:
    return zone.utcoffset(local) or timedelta()


def _gap_end(local: datetime, low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The clock jumps over `local` somewhere in (low, high]: where, to the second."""
    low = low.replace(tzinfo=UTC)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        low, high = (middle, high) if wall(middle, zone) < local else (low, middle)
    return high
