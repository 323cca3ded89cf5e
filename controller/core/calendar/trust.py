"""Is the controller's clock to be believed? Decided from readings that the caller took. Reads no clock.

The floor is the latest time that is known to have passed: written down regularly, in every backup. A clock
before it is wrong. A clock far after it may be wrong too: whoever can set it forward can open windows and
expire what he likes; a clock that is kept in step by time servers, or an operator's word, settles that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

BEHIND = timedelta(minutes=5)
AHEAD = timedelta(days=1)
STEP = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Reading:
    """The two clocks of a machine at one moment. The monotonic one is never set, and ends with a boot."""

    wall: datetime
    monotonic: float


@dataclass(frozen=True, slots=True)
class TimeState:
    """What is kept. `untrusted`: why, since an earlier judgement; it stays until something settles it."""

    floor: datetime | None = None  # None: nothing was ever written down
    untrusted: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    state: TimeState  # to keep
    now: datetime  # for decisions about expiry: never before the floor

    @property
    def trusted(self) -> bool:
        return not self.state.untrusted


def judge(
    state: TimeState, reading: Reading, last: Reading | None = None, *, synchronized: bool = False
) -> Verdict:
    """`last`: the reading before, taken by the same process. `synchronized`: the kernel says that time
    servers keep the clock in step; that settles a step or a jump forward, but never a time before the floor.
    """
    floor = state.floor or reading.wall
    why = ""
    if reading.wall < floor - BEHIND:
        why = f"the clock shows {_show(reading.wall)}, before {_show(floor)}, which has passed"
    elif not synchronized:
        why = stepped(reading, last) or _jumped(reading, last, floor) or state.untrusted
    trusted_floor = floor if why else max(floor, reading.wall)
    return Verdict(TimeState(trusted_floor, why), max(floor, reading.wall))


def confirm(reading: Reading) -> TimeState:
    """An operator's word that the clock is right now. The floor follows it, also backwards."""
    return TimeState(reading.wall)


def stepped(reading: Reading, last: Reading | None) -> str:
    """What was done to the clock between two readings of one process; empty: it went on by itself."""
    if last is None:
        return ""
    by = (reading.wall - last.wall) - timedelta(seconds=reading.monotonic - last.monotonic)
    if abs(by) <= STEP:
        return ""
    return f"the clock was set {'forward' if by > timedelta() else 'back'} by {_length(abs(by))}"


def _jumped(reading: Reading, last: Reading | None, floor: datetime) -> str:
    """Only the first reading of a process: from then on the monotonic clock tells how much time passed."""
    if last is not None or reading.wall - floor <= AHEAD:
        return ""
    return (
        f"the clock shows {_show(reading.wall)}, {_length(reading.wall - floor)} after this controller last "
        "ran, and no time server vouches for it"
    )


def _show(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _length(delta: timedelta) -> str:
    if delta >= timedelta(days=2):
        return f"{delta.days} days"
    seconds = int(delta.total_seconds())
    return f"{seconds // 3600} h {seconds % 3600 // 60} min" if seconds >= 3600 else f"{seconds} s"
