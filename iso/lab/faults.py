"""Faults on request: what a machine is told to do wrong, how often, and where. Doing it is up to others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.errors import OperatorError

KINDS: Mapping[str, str] = {
    "slow": "`seconds` (1) before a command; `bytes_per_second` for what it is sent",
    "drop": "cut the connection at a command (after: how many are let through) or after `bytes` of its input",
    "refuse": "refuse SSH connections for `seconds` (5; 0: until cleared)",
    "lie": "the command named by `at` does nothing and says `stdout` (repeat) with `status` 0",
    "power-cut": "cut the power in the write that reaches `bytes` on `disk`; `cache`: unflushed ones lost",
    "never-come-back": "stay dark after the next reboot",
    "ignore-reboot": "say yes to a reboot and do not",
    "spoof": "answer mDNS questions for this machine with another address too",
    "never-ready": "Talos (with `at`: only this version, as v1.14.0) never becomes ready",
    "ready-but-bad": "Talos (with `at`: only this version) goes bad shortly after it was ready",
    "flaps": "Talos (with `at`: only this version) is ready and not ready in turn",
    "boot-fails": "a new Talos (with `at`: only this version) puts the old one back and reboots",
    "boot-hang": "Talos (with `at`: only this version) hangs in boot and answers nothing",
    "slow-boot": "`seconds` (5) before Talos (with `at`: only this version) goes on booting",
    "install-fails": "the installer (with `at`: only of this version) ends with an error",
    "pull-fails": "the installer's image (with `at`: only of this version) can't be pulled",
    "etcd-unhealthy": "the etcd member of this machine runs, but badly",
    "etcd-alarm": "the etcd member of this machine raises `alarm` (NOSPACE)",
    "refuse-talos": "Talos refuses connections",
    "other-machine": "Talos gives the UUID, serial number and network cards of another machine",
    "disk-full": "Talos has next to no room for images",
    "no-time": "the clock of Talos never gets in sync",
}


@dataclass(slots=True)
class Fault:
    kind: str
    at: str = ""  # only at this point: a command's name, a call's name; empty: anywhere
    times: int = 1  # uses left; 0: until cleared
    after: int = 0  # opportunities to let pass first
    options: Mapping[str, Any] = field(default_factory=dict)


class FaultBox:
    """The faults of one machine. See `iso.lab.api.Faults`."""

    def __init__(self, used: Callable[[Fault], None] = lambda _: None) -> None:
        self._faults: list[Fault] = []
        self._used = used

    def add(self, kind: str, *, at: str = "", times: int = 1, after: int = 0, **options: Any) -> Fault:
        if kind not in KINDS:
            raise OperatorError(f"the lab knows no fault {kind!r}", fix="choose one of: " + ", ".join(KINDS))
        fault = Fault(kind, at, times, after, options)
        self._faults.append(fault)
        return fault

    def take(self, kind: str, point: str = "") -> Mapping[str, Any] | None:
        for fault in self._faults:
            if fault.kind != kind or (fault.at and fault.at != point):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            self._used(fault)
            if fault.times > 0:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return fault.options
        return None

    def has(self, kind: str) -> bool:
        return any(fault.kind == kind for fault in self._faults)

    def clear(self, kind: str = "") -> None:
        self._faults = [fault for fault in self._faults if kind and fault.kind != kind]

    def waiting(self) -> list[dict[str, Any]]:
        return [
            {"kind": one.kind, "at": one.at, "times": one.times, "after": one.after, **one.options}
            for one in self._faults
        ]
