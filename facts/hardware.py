"""Hardware profiles: data files that say what Talos needs on a kind of machine, and the scored match.

Matching looks at what the machine says it is; it never grants trust or a role. A machine that no profile
knows gets the generic one of its architecture, with a warning and a `report` that can be published.
Adding a profile is one file in `facts/profiles/`; nothing here changes.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Literal

from facts.machine_model import DiskKind, Hardware, human_memory, human_size
from inventory.errors import OperatorError, RefusedError

GIB = 1024**3
# Profiles are written by people: a misspelt key is an error, not a default.
_STRICT = {"extra": "forbid"}

Field = Literal["vendor", "product", "board", "cpu", "hypervisor", "arch", "firmware"]


@dataclass(frozen=True, slots=True)
class Rule:
    """If `field` matches the regular expression (case ignored), the profile gets `score`."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    field: Field
    pattern: str
    score: int
    required: bool = False  # without it the profile is no candidate


@dataclass(frozen=True, slots=True)
class Requirements:
    """Less than this is a warning; what a role refuses is the role's business."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    cores: int = 2
    memory_gib: int = 4
    disk_gib: int = 16


@dataclass(frozen=True, slots=True)
class DiskPreference:
    """Which disk to install on, if the site file names none: kinds in order; models to take first or last."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    order: tuple[DiskKind, ...] = ("nvme", "ssd", "virtual", "mmc", "hdd")
    prefer: str = ""  # regular expression over the model
    avoid: str = ""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A single-board computer's part of the image factory schematic."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    name: str
    image: str


@dataclass(frozen=True, slots=True)
class Profile:
    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    name: str  # the file's name
    title: str
    arch: Literal["amd64", "arm64"]
    match: tuple[Rule, ...]
    provenance: Literal["captured", "composed"]
    sources: tuple[str, ...]  # where the statements below come from
    requires: Requirements = Requirements()
    disk: DiskPreference = DiskPreference()
    extensions: tuple[str, ...] = ()  # "siderolabs/intel-ucode"
    kernel_modules: tuple[str, ...] = ()
    kernel_args: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    overlay: Overlay | None = None
    generic: bool = False  # the one to fall back to
    warnings: tuple[str, ...] = ()  # shown to the operator with every match
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    profile: Profile
    score: int
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@cache
def load_profiles() -> tuple[Profile, ...]:
    """The profiles that come with the program, by name."""
    folder = files("facts") / "profiles"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return tuple(
        read_profile(entry.read_text("utf-8"), entry.name) for entry in sorted(found, key=lambda e: e.name)
    )


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Profile)


def read_profile(text: str, file: str) -> Profile:
    """One profile file. Raises OperatorError naming the field: these files are written by people."""
    import yaml  # here: only who matches profiles pays for the two imports
    from pydantic import ValidationError

    name = file.removesuffix(".yaml")
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        profile: Profile = _adapter().validate_json(json.dumps({"name": name, **data}), strict=True)
        patterns = [*(rule.pattern for rule in profile.match), profile.disk.prefer, profile.disk.avoid]
        for pattern in patterns:
            re.compile(pattern)
    except (yaml.YAMLError, TypeError) as error:
        raise OperatorError(
            f"not a profile: {error}", where=file, fix="see docs/hardware-profiles.md"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise OperatorError(
            f"{where}: {first['msg']}", where=file, fix="see docs/hardware-profiles.md"
        ) from error
    except re.error as error:
        raise OperatorError(
            f"{error.pattern!r} is not a regular expression: {error}", where=file, fix="mend the pattern"
        ) from error
    return profile


def match(hardware: Hardware, profiles: Iterable[Profile] | None = None) -> Match:
    """The profile with the highest score. Ties: more rules matched, then the name; with a warning."""
    offered = load_profiles() if profiles is None else tuple(profiles)
    found = [each for profile in offered if (each := _score(hardware, profile))]
    if not found:
        raise RefusedError(
            f"no hardware profile for the architecture {hardware.arch or 'unknown'!r}",
            fix="Talos runs on amd64 and arm64; if this is one of them, gather its facts again",
        )
    ranked = sorted(found, key=lambda each: (-each.score, -len(each.reasons), each.profile.name))
    best = ranked[0]
    tied = [each.profile.name for each in ranked[1:] if each.score == best.score]
    warnings = list(_warnings(hardware, best.profile))
    if tied:
        warnings.append(f"{', '.join(tied)} match as well; name one in the site file as hardwareProfile")
    return Match(best.profile, best.score, best.reasons, tuple(warnings))


def named(name: str, hardware: Hardware, profiles: Iterable[Profile] | None = None) -> Match:
    """The profile that the site file names, whatever matches. Raises OperatorError for an unknown name."""
    offered = load_profiles() if profiles is None else tuple(profiles)
    profile = next((each for each in offered if each.name == name), None)
    if profile is None:
        known = ", ".join(each.name for each in offered)
        raise OperatorError(f"there is no hardware profile {name!r}", fix=f"choose one of: {known}")
    warnings = list(_warnings(hardware, profile))
    if hardware.arch and profile.arch != hardware.arch:
        warnings.append(f"the profile is for {profile.arch}, the machine is {hardware.arch}")
    scored = _score(hardware, profile)
    return Match(profile, scored.score if scored else 0, ("named in the site file",), tuple(warnings))


def _score(hardware: Hardware, profile: Profile) -> Match | None:
    """None if the profile is no candidate."""
    if profile.arch != hardware.arch:
        return None
    score, reasons = 0, []
    for rule in profile.match:
        value = _value(hardware, rule.field)
        if value and re.search(rule.pattern, value, re.IGNORECASE):
            score += rule.score
            reasons.append(f"{rule.field} is {value!r} (+{rule.score})")
        elif rule.required:
            return None
    return Match(profile, score, tuple(reasons)) if reasons else None


def _value(hardware: Hardware, name: Field) -> str:
    return {
        "vendor": hardware.vendor,
        "product": hardware.product,
        "board": hardware.board,
        "cpu": hardware.cpu.model,
        "hypervisor": hardware.cpu.hypervisor,
        "arch": hardware.arch,
        "firmware": hardware.firmware,
    }[name]


def _warnings(hardware: Hardware, profile: Profile) -> Iterable[str]:
    if profile.generic:
        what = " ".join(filter(None, (hardware.vendor, hardware.product))) or hardware.board or "this machine"
        yield f"no profile knows {what}: {profile.name} is used; send in its report so that it gets one"
    yield from profile.warnings
    wanted = profile.requires
    if 0 < hardware.cpu.threads < wanted.cores:
        yield f"{hardware.cpu.threads} processors, fewer than the expected {wanted.cores}"
    # What firmware and graphics keep for themselves is missing from the kernel's total.
    if 0 < hardware.memory < wanted.memory_gib * GIB * 0.85:
        yield f"{human_memory(hardware.memory)} of memory, less than {wanted.memory_gib} GiB"
    largest = max((disk.size for disk in hardware.disks if not disk.removable), default=None)
    if largest is not None and largest < wanted.disk_gib * GIB:
        yield f"the largest disk has {human_size(largest)}, less than {wanted.disk_gib} GiB"


def report(hardware: Hardware) -> str:
    """What a new profile needs to know, as JSON; without serial numbers, addresses or other identity."""
    disks = [
        {
            "kind": disk.kind,
            "model": disk.model,
            "size": human_size(disk.size),
            "transport": disk.transport,
            "sectors": [disk.logical_sector, disk.physical_sector],
            "stable_name": disk.stable_path != disk.path,
        }
        for disk in hardware.disks
    ]
    data: dict[str, Any] = {
        "vendor": hardware.vendor,
        "product": hardware.product,
        "board": hardware.board,
        "bios": hardware.bios_version,
        "arch": hardware.arch,
        "firmware": hardware.firmware,
        "secure_boot": hardware.secure_boot,
        "tpm": hardware.tpm,
        "bmc": hardware.bmc is not None,
        "cpu": {
            "model": hardware.cpu.model,
            "sockets": hardware.cpu.sockets,
            "cores": hardware.cpu.cores,
            "threads": hardware.cpu.threads,
            "hypervisor": hardware.cpu.hypervisor,
        },
        "memory": human_memory(hardware.memory),
        "ecc": hardware.ecc,
        "dimms": sorted(
            f"{human_memory(each.size)} {each.type} {each.speed or ''}".strip() for each in hardware.dimms
        ),
        "disks": disks,
        "nics": [{"driver": nic.driver, "speed": nic.speed} for nic in hardware.nics],
        "gpus": [
            f"{each.vendor} {each.device} [{each.vendor_id}:{each.device_id}]" for each in hardware.gpus
        ],
        "unknown": list(hardware.unknown),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
