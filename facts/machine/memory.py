"""How much memory the kernel has. The modules themselves are the fact `dimms`."""

import re
from dataclasses import dataclass

from facts.limits import number
from facts.spec import KIB, FactError, FactSpec

_ROW = re.compile(r"^(MemTotal|SwapTotal):\s*([0-9]{1,15}) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    total: int  # bytes
    swap: int = 0  # bytes


def parse(text: str) -> Memory:
    found = {key: number(value, what=key) * KIB for key, value in _ROW.findall(text)}
    if not found.get("MemTotal"):
        raise FactError("no MemTotal in /proc/meminfo")
    return Memory(total=found["MemTotal"], swap=found.get("SwapTotal", 0))


FACT = FactSpec(name="memory", title="memory", command="cat /proc/meminfo", parse=parse, model=Memory)
