"""What the virtual machines of a lab claim to be: who made them, their serial numbers, which disks they have.

From the kinds of machine that the simulated lab knows, or from a small YAML file. Processors, memory and
network cards are QEMU's; disks are empty files, whatever a kind says is on them. Starts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inventory.errors import OperatorError
from iso.lab import kinds
from iso.qemu.spec import DiskKind, Identity

_NAMES = UUID("0f9c7e54-7d6b-5f1e-9f0a-43d1a9a0b0c7")
_GIB = 2**30
_PLAIN = (("nvme", "NVME"), ("virtio", "VIRTIO"))  # two kinds, so that there is something to choose
_PLAIN_GIB = 32
_TRANSPORTS: dict[str, DiskKind] = {
    "nvme": "nvme",
    "virtio": "virtio",
    "sata": "sata",
    "sas": "scsi",
    "usb": "usb",
}
_LARGE_SECTORS = ("nvme", "scsi", "virtio")

# What SMBIOS strings and disks' serial numbers can hold, whatever QEMU makes of more.
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$")]
DiskSerial = Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[A-Za-z0-9._-]+$")]


@dataclass(frozen=True, slots=True)
class DiskWish:
    kind: DiskKind
    size: int
    serial: str
    sector: int = 512


@dataclass(frozen=True, slots=True)
class Wish:
    """One machine. `firmware`: what it is started by."""

    identity: Identity
    disks: tuple[DiskWish, ...]
    firmware: Literal["bios", "uefi"] = "uefi"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _FileDisk(_Model):
    kind: Literal["nvme", "virtio", "sata", "scsi", "usb"]
    gib: int = Field(default=_PLAIN_GIB, ge=1, le=8192)
    serial: DiskSerial | None = None
    sector: Literal[512, 4096] = Field(default=512, alias="sectorSize")

    @model_validator(mode="after")
    def _sectors(self) -> "_FileDisk":
        if self.sector != 512 and self.kind not in _LARGE_SECTORS:
            raise ValueError(f"a {self.kind} disk has sectors of 512 bytes")
        return self


class _File(_Model):
    vendor: Text = "Lab"
    product: Text = "Virtual Machine"
    serial: Text | None = None
    uuid: UUID | None = None
    bios: Text = "1.2.3"
    firmware: Literal["bios", "uefi"] = "uefi"
    disks: tuple[_FileDisk, ...] = Field(min_length=1, max_length=5)


def wishes(names: Sequence[str], hardware: Sequence[str] = ()) -> tuple[Wish, ...]:
    """One for each machine. `hardware`: kinds or YAML files, used in turn; none: one plain kind for all."""
    if not hardware:
        return tuple(_plain(name, number) for number, name in enumerate(names, 1))
    chosen = [(name, hardware[at % len(hardware)]) for at, name in enumerate(names)]
    return tuple(
        _from_file(Path(what), name, [other for _, other in chosen].count(what))
        if _is_file(what)
        else _from_kind(what, name)
        for name, what in chosen
    )


def _is_file(what: str) -> bool:
    return what.endswith((".yaml", ".yml"))


def _plain(name: str, number: int) -> Wish:
    disks = tuple(
        DiskWish("nvme" if kind == "nvme" else "virtio", _PLAIN_GIB * _GIB, f"{prefix}{number:04d}")
        for kind, prefix in _PLAIN
    )
    return Wish(_identity(name), disks)


def _identity(name: str, **known: str) -> Identity:
    """The same machine for the same name."""
    values = {"uuid": str(uuid5(_NAMES, name)), "vendor": "Lab", "product": "Virtual Machine"}
    return Identity(**{**values, "serial": f"SN-{name.upper()}", **known})


def _from_kind(kind: str, name: str) -> Wish:
    machine = kinds.make(kind, seed=f"qemu/{name}")
    if machine.arch != "amd64":
        fix = "choose another kind, or a YAML file of your own"
        raise OperatorError(f"{kind} is {machine.arch}, and the image is for amd64", where=name, fix=fix)
    dmi = machine.dmi
    identity = _identity(
        name,
        vendor=dmi["sys_vendor"],
        product=dmi["product_name"],
        serial=dmi["product_serial"],
        uuid=dmi["product_uuid"],
        bios=dmi["bios_version"],
    )
    disks = tuple(
        DiskWish(_TRANSPORTS[disk.transport], disk.size, disk.serial[:20], disk.sector_size)
        for disk in machine.disks
    )
    return Wish(identity, disks, machine.firmware)


def _from_file(path: Path, name: str, times: int) -> Wish:
    asked = _read(path)
    _check_once(path, asked, times)
    own = {"serial": asked.serial, "uuid": str(asked.uuid) if asked.uuid else None}
    known = {key: value for key, value in own.items() if value}
    identity = _identity(name, vendor=asked.vendor, product=asked.product, bios=asked.bios, **known)
    disks = tuple(
        DiskWish(disk.kind, disk.gib * _GIB, disk.serial or f"{name.upper()}-{at}"[-20:], disk.sector)
        for at, disk in enumerate(asked.disks, 1)
    )
    return Wish(identity, disks, asked.firmware)


def _read(path: Path) -> _File:
    try:
        row: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _File.model_validate(row)
    except OSError as error:
        fix = f"give a kind ({', '.join(kinds.kinds())}) or a YAML file"
        raise OperatorError(f"can't be read: {error.strerror}", where=str(path), fix=fix) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OperatorError(f"it is no YAML: {error}", where=str(path), fix="correct it") from error
    except ValidationError as error:
        raise OperatorError(
            _problem(error), where=str(path), fix="see “A lab of virtual machines”"
        ) from error


def _problem(error: ValidationError) -> str:
    """The first one, with its place in the file."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{place}: {first['msg']}"


def _check_once(path: Path, asked: _File, times: int) -> None:
    """Two machines that say they are one would be taken for one. Kinds may: cheap machines really do."""
    own = [what for what in ("serial", "uuid") if getattr(asked, what)]
    if times > 1 and own:
        raise OperatorError(
            f"{times} machines would have the {' and the '.join(own)} of this file",
            where=str(path),
            fix=f"leave {' and '.join(f'`{what}`' for what in own)} out, or give a file for each machine",
        )
