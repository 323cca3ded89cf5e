"""Preflight: one machine, one role, one finding per check; what is unknown never passes in silence."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from facts.machine_model import Hardware, HardwareCpu, HardwareDisk, HardwareNic
from inventory.fleet import Node
from roles import checks
from roles.checks import Finding, Subject
from roles.registry import ROLES, role

GIB = 1024**3


@pytest.fixture
def findings(
    make_node: Callable[..., Node], make_hardware: Callable[..., Hardware]
) -> Callable[..., dict[str, Finding]]:
    def run(
        slug: str = "controlplane", *, skew: float | None = 0.0, settings: Any = None, **more: Any
    ) -> dict[str, Finding]:
        subject = Subject(make_node(slug, settings=settings or {}), role(slug), make_hardware(**more), skew)
        return {finding.check: finding for finding in checks.preflight(subject)}

    return run


def test_a_good_machine_passes(findings: Callable[..., dict[str, Finding]]) -> None:
    made = findings()
    assert {finding.level for finding in made.values()} == {"ok"}
    assert list(made) == list(ROLES["controlplane"].checks)
    assert checks.refusals(tuple(made.values())) == ()


@pytest.mark.parametrize(
    ("slug", "more", "check", "level", "what"),
    [
        ("worker", {"arch": "riscv64"}, "architecture", "refuse", "riscv64"),
        ("worker", {"arch": ""}, "architecture", "refuse", "unknown architecture"),
        (
            "controlplane",
            {"cpu": HardwareCpu(cores=1, threads=1)},
            "cores",
            "refuse",
            "cores: 1; the role control plane needs at least 2",
        ),
        ("controlplane", {"cpu": HardwareCpu(cores=2, threads=0)}, "cores", "warn", "4 are advised"),
        ("worker", {"cpu": HardwareCpu(cores=1, threads=1)}, "cores", "warn", "2 are advised"),
        (
            "appliance",
            {"memory": 2 * GIB},
            "memory",
            "refuse",
            "memory: 2 GiB; the role appliance needs at least 3 GiB",
        ),
        ("appliance", {"memory": 4 * GIB}, "memory", "warn", "8 GiB are advised"),
        ("controlplane", {"memory": int(1.85 * GIB)}, "memory", "warn", "memory: 1.85 GiB"),
        ("controlplane", {"memory": 0}, "memory", "refuse", "0 GiB"),
        ("worker", {"secure_boot": True}, "secure-boot", "refuse", "Secure Boot is on"),
        ("worker", {"secure_boot": None, "firmware": "bios"}, "secure-boot", "ok", "off"),
        ("worker", {"secure_boot": None}, "secure-boot", "warn", "not known"),
        ("worker", {"firmware": "bios"}, "boot-mode", "ok", "BIOS"),
        ("worker", {"firmware": "bios", "arch": "arm64"}, "boot-mode", "refuse", "UEFI only"),
        ("worker", {"firmware": ""}, "boot-mode", "warn", "not known"),
        ("worker", {"nics": ()}, "network", "warn", "no network card shows a link"),
        (
            "worker",
            {"nics": (HardwareNic("a", "m", link=False), HardwareNic("b", "m", link=True))},
            "network",
            "ok",
            "link on b",
        ),
        ("worker", {"unknown": ("disks",)}, "facts", "refuse", "disks is not known"),
        ("worker", {"unknown": ("smart",)}, "clock", "ok", "right"),
        ("worker", {"skew": None}, "clock", "warn", "not compared"),
        ("worker", {"skew": -30.0}, "clock", "warn", "30 s behind"),
        ("worker", {"skew": 4000.0}, "clock", "warn", "4000 s ahead"),
        (
            "worker",
            {"skew": 4000.0, "settings": {"timeDisabled": True}},
            "clock",
            "refuse",
            "nothing will set it",
        ),
    ],
)
def test_findings(
    findings: Callable[..., dict[str, Finding]],
    slug: str,
    more: dict[str, Any],
    check: str,
    level: str,
    what: str,
) -> None:
    finding = findings(slug, **more)[check]
    assert (finding.level, what in finding.what) == (level, True), finding
    assert bool(finding.fix) is (level != "ok")


def test_disks(findings: Callable[..., dict[str, Finding]], make_disk: Callable[..., HardwareDisk]) -> None:
    small, stick = make_disk(size=8 * GIB), make_disk("sdb", "usb", removable=True)
    assert findings(disks=(small, stick))["disk"].level == "refuse"
    failing = replace(make_disk(), healthy=False)
    assert "SMART says that /dev/nvme0n1" in findings(disks=(failing,))["disk-health"].what


def test_refusals_are_only_those_that_refuse(findings: Callable[..., dict[str, Finding]]) -> None:
    made = tuple(findings(secure_boot=True, skew=None).values())
    assert [finding.check for finding in checks.refusals(made)] == ["secure-boot"]
