"""The processor: model, sockets, cores, threads, virtualization."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from facts.limits import load_json, mapping, number, sequence, word
from facts.spec import FactError, FactSpec


@dataclass(frozen=True, slots=True)
class Cpu:
    model: str
    vendor: str
    arch: str
    sockets: int
    cores: int  # in all sockets together
    threads: int  # what the scheduler sees
    hypervisor: str = ""  # "KVM", "VMware", … in a virtual machine


_WANTED = frozenset(
    {
        "Architecture",
        "CPU(s)",
        "Core(s) per cluster",
        "Core(s) per socket",
        "Hypervisor vendor",
        "Model name",
        "Socket(s)",
        "Thread(s) per core",
        "Vendor ID",
    }
)


def _collect(entries: Iterable[Any], found: dict[str, str]) -> None:
    """The first value of each field we want; newer lscpu nests groups as `children` (up to three levels).

    It names some forty fields more, caches and vulnerabilities: those are not worth cleaning.
    """
    for entry in entries:
        row = mapping(entry, what="an lscpu row")
        key = row.get("field")
        if isinstance(key, str) and (key := key.strip().rstrip(":")) in _WANTED:
            found.setdefault(key, word(row.get("data")))
        children = row.get("children")
        if children:
            _collect(sequence(children, what="lscpu children"), found)


def _count(value: str, fallback: int) -> int:
    return number(value, what="lscpu count") if value.isdigit() else fallback


def parse(text: str) -> Cpu:
    document = mapping(load_json(text), what="lscpu output")
    found: dict[str, str] = {}
    _collect(sequence(document.get("lscpu"), what="lscpu"), found)
    threads = _count(found.get("CPU(s)", ""), 0)
    if not 1 <= threads <= 65536:
        raise FactError("lscpu did not say how many processors there are")
    # Arm boards without a socket table say "-" or speak of clusters.
    sockets = max(1, _count(found.get("Socket(s)", ""), 1))
    per_socket = _count(found.get("Core(s) per socket", ""), 0) or _count(
        found.get("Core(s) per cluster", ""), 0
    )
    per_core = max(1, _count(found.get("Thread(s) per core", ""), 1))
    cores = min(sockets * per_socket or threads // per_core or 1, threads)
    return Cpu(
        model=found.get("Model name", ""),
        vendor=found.get("Vendor ID", ""),
        arch=found.get("Architecture", ""),
        sockets=min(sockets, threads),
        cores=cores,
        threads=threads,
        hypervisor=found.get("Hypervisor vendor", ""),
    )


FACT = FactSpec(name="cpu", title="processor", command="lscpu -J", parse=parse, model=Cpu)
