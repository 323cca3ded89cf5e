"""Preflight checks of one machine for one role: facts against what the role needs. Changes and asks nothing.

Each check gives one finding; `refuse` stops the plan, `warn` is shown beside it. A check of facts that could
not be gathered says so instead of passing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from facts.machine_model import Hardware, human_size
from inventory.fleet import Node
from roles.spec import Need, RoleSpec

Level = Literal["ok", "warn", "refuse"]

SKEW_OK = 2.0  # seconds; the measurement itself is no better on a slow line
SKEW_MAX = 300.0  # seconds; our certificates are valid from five minutes ago


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is empty when all is well."""

    check: str
    level: Level
    what: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked. `skew` is the machine's clock minus ours in seconds; None if it was not measured."""

    node: Node
    role: RoleSpec
    hardware: Hardware
    skew: float | None = None


def preflight(subject: Subject) -> tuple[Finding, ...]:
    """All findings, in the order of the role's checks."""
    missing = [name for name in subject.role.facts if name in subject.hardware.unknown]
    gaps = tuple(
        Finding("facts", "refuse", f"{name} is not known", "run cto facts gather and look at its problems")
        for name in missing
    )
    return gaps + tuple(CHECKS[slug](subject) for slug in subject.role.checks)


def refusals(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.level == "refuse")


def _architecture(subject: Subject) -> Finding:
    arch = subject.hardware.arch
    if arch in {"amd64", "arm64"}:
        return Finding("architecture", "ok", arch)
    return Finding(
        "architecture", "refuse", f"{arch or 'unknown architecture'}", "use an x86-64 or ARM64 machine"
    )


def threads(hardware: Hardware) -> int:
    """What Kubernetes will count as CPUs."""
    return hardware.cpu.threads or hardware.cpu.cores


def _cores(subject: Subject) -> Finding:
    return _measured("cores", subject, subject.role.cores, threads(subject.hardware), str)


def _memory(subject: Subject) -> Finding:
    return _measured("memory", subject, subject.role.memory, subject.hardware.memory, _gib, tolerance=0.1)


def _measured(
    check: str, subject: Subject, need: Need, found: int, show: Callable[[int], str], *, tolerance: float = 0
) -> Finding:
    """`tolerance`: the kernel reports up to a tenth less memory than is built in."""
    title, enough = subject.role.title.lower(), found / (1 - tolerance)
    if enough < need.minimum:
        what = f"{check}: {show(found)}; the role {title} needs at least {show(need.minimum)}"
        return Finding(check, "refuse", what, "use a larger machine or give the node another role")
    if enough < need.advised:
        what = f"{check}: {show(found)}; {show(need.advised)} are advised for the role {title}"
        return Finding(check, "warn", what, "enough to try things out; use a larger machine for real work")
    return Finding(check, "ok", f"{check}: {show(found)}")


def _disk_health(subject: Subject) -> Finding:
    failing = [disk.path for disk in subject.hardware.disks if disk.healthy is False]
    if failing:
        what = f"SMART says that {', '.join(failing)} is failing"
        return Finding("disk-health", "warn", what, "replace the disk before it holds anything")
    return Finding("disk-health", "ok", "no disk reports that it is failing")


def _disk_size(subject: Subject) -> Finding:
    largest = max((disk.size for disk in subject.hardware.disks if not disk.removable), default=0)
    return _measured("disk", subject, subject.role.disk, largest, human_size)


def _secure_boot(subject: Subject) -> Finding:
    if subject.hardware.secure_boot:
        return Finding(
            "secure-boot",
            "refuse",
            "Secure Boot is on; the firmware would not start the image, which is not signed with its keys",
            "switch Secure Boot off in the firmware's setup",
        )
    if subject.hardware.secure_boot is None and subject.hardware.firmware != "bios":
        fix = "look into the firmware's setup: it must be off, since the image is not signed with its keys"
        return Finding("secure-boot", "warn", "whether Secure Boot is on is not known", fix)
    return Finding("secure-boot", "ok", "Secure Boot is off")


def _boot_mode(subject: Subject) -> Finding:
    firmware, arch = subject.hardware.firmware, subject.hardware.arch
    if not firmware:
        return Finding(
            "boot-mode",
            "warn",
            "how the machine boots is not known",
            "look at its boot order after the install",
        )
    if firmware == "bios" and arch == "arm64":
        return Finding(
            "boot-mode", "refuse", "ARM64 images start by UEFI only", "install UEFI firmware on this machine"
        )
    return Finding("boot-mode", "ok", "UEFI" if firmware == "uefi" else "BIOS")


def _network(subject: Subject) -> Finding:
    up = [nic.name for nic in subject.hardware.nics if nic.link]
    if up:
        return Finding("network", "ok", f"link on {', '.join(up)}")
    return Finding("network", "warn", "no network card shows a link", "check the cable and the switch port")


def _clock(subject: Subject) -> Finding:
    skew = subject.skew
    if skew is None:
        return Finding("clock", "warn", "the clock was not compared", "run cto facts gather")
    size = f"the clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) <= SKEW_OK:
        return Finding("clock", "ok", "the clock is right")
    if abs(skew) <= SKEW_MAX:
        return Finding(
            "clock", "warn", size, "Talos sets it if it reaches a time server; see settings.timeServers"
        )
    if subject.node.settings.get("timeDisabled"):
        fix = "set the clock in the firmware's setup, or let Talos set it: remove timeDisabled"
        return Finding("clock", "refuse", f"{size}, and nothing will set it", fix)
    return Finding(
        "clock",
        "warn",
        size,
        "set it in the firmware's setup; certificates fail until a time server is reached",
    )


CHECKS: Mapping[str, Callable[[Subject], Finding]] = {
    "architecture": _architecture,
    "cores": _cores,
    "memory": _memory,
    "disk": _disk_size,
    "disk-health": _disk_health,
    "secure-boot": _secure_boot,
    "boot-mode": _boot_mode,
    "network": _network,
    "clock": _clock,
}


def _gib(size: int) -> str:
    return f"{size / 1024**3:.3g} GiB"
