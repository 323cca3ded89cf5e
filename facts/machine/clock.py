"""The machine's clock. How far it is off, the gatherer says: it knows when it asked and got the answer."""

import re
from dataclasses import dataclass, field

from facts.spec import VOLATILE, FactError, FactSpec

_EPOCH = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,9})|\.%N)?")  # BusyBox's date does not know %N


@dataclass(frozen=True, slots=True)
class Clock:
    epoch: float = field(metadata=VOLATILE)  # seconds since 1970, UTC
    skew: float | None = field(default=None, metadata=VOLATILE)  # seconds ahead of ours; set by the gatherer


def parse(text: str) -> Clock:
    match = _EPOCH.fullmatch(text.strip())
    if match is None:
        raise FactError("date did not print seconds since 1970")
    return Clock(epoch=float(f"{match[1]}.{match[2] or 0}"))


FACT = FactSpec(name="clock", title="clock", command="date -u +%s.%N", parse=parse, model=Clock)
