"""The kinds of machine that the lab can simulate: data files in `hardware/`, made individual by a seed.

A file says what a machine of its kind has and where that knowledge comes from. What the tools print about
it is made by `iso.lab.sysfs` and `iso.lab.tools.hardware`, unless the file holds the captured output itself.
"""

import hashlib
import uuid
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from inventory.errors import OperatorError


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class CpuKind(_Model):
    vendor: str
    model: str
    sockets: int = 1
    cores: int  # per socket
    threads: int = 1  # per core
    hypervisor: str = ""

    @property
    def threads_in_all(self) -> int:
        return self.sockets * self.cores * self.threads


class DimmKind(_Model):
    count: int
    slots: int
    size: str  # "32 GB"
    type: str
    speed: int
    ecc: bool
    manufacturer: str
    part: str


class DiskKind(_Model):
    name: str
    size: int
    model: str
    serial: str
    wwid: str = ""
    transport: Literal["nvme", "sata", "sas", "usb", "virtio", "mmc"]
    rotational: bool = False
    sector_size: int = 512
    firmware: str = ""
    contents: str = ""  # `iso.lab.blocks.preload`


class NicKind(_Model):
    name: str
    driver: str
    mac: str
    speed: int = 1000
    link: bool = True
    pci: str = ""


class Hardware(_Model):
    """One machine's hardware, its placeholders filled in."""

    kind: str
    title: str
    provenance: Literal["captured", "composed"]
    captured_with: str = ""
    sources: tuple[str, ...] = ()
    arch: Literal["amd64", "arm64"]
    firmware: Literal["uefi", "bios"]
    secure_boot: bool = False
    tpm: str = ""  # "2", "1", or nothing
    memory: int  # bytes
    cpu: CpuKind
    dmi: Mapping[str, str] = Field(default_factory=dict)  # names of /sys/class/dmi/id
    device_tree: Mapping[str, str] = Field(default_factory=dict)
    dimms: DimmKind | None = None
    disks: tuple[DiskKind, ...]
    nics: tuple[NicKind, ...]
    pci: tuple[str, ...] = ()  # lines of `lspci -Dmmnn`
    bmc: bool = False
    files: Mapping[str, str] = Field(default_factory=dict)  # beyond what follows from the above
    commands: Mapping[str, str] = Field(default_factory=dict)  # argv → standard output, word for word
    missing: tuple[str, ...] = ()  # tools that the environment on this machine lacks


@cache
def _documents() -> Mapping[str, Mapping[str, Any]]:
    folder = files("iso.lab") / "hardware"
    texts = sorted(
        (entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )
    documents = (yaml.safe_load(text) for _, text in texts)
    return {document["kind"]: document for document in documents}


def kinds() -> tuple[str, ...]:
    """The names of all kinds, sorted."""
    return tuple(_documents())


def make(kind: str, *, seed: str) -> Hardware:
    """A machine of this kind. The same seed gives the same serials, addresses and ids."""
    document = _documents().get(kind)
    if document is None:
        raise OperatorError(
            f"the lab knows no hardware kind {kind!r}", fix="choose one of: " + ", ".join(kinds())
        )
    return Hardware.model_validate(_filled(document, _identity(seed)))


def _identity(seed: str) -> dict[str, str]:
    digest = hashlib.sha256(f"lab machine {seed}".encode()).digest()
    letters = "".join("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"[byte % 34] for byte in digest)
    values = {"serial": letters[:7], "uuid": str(uuid.UUID(bytes=digest[:16], version=4))}
    for index in range(6):
        own = hashlib.sha256(digest + bytes([index])).digest()
        # Locally administered addresses: no vendor's, so they can't be a real machine's.
        values[f"mac{index}"] = ":".join(f"{byte:02x}" for byte in (0x02, *own[:5]))
        values[f"disk{index}"] = own[5:11].hex().upper()
        values[f"wwn{index}"] = own[11:19].hex()
    return values


def _filled(value: Any, identity: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(identity) if "$" in value else value
    if isinstance(value, list):
        return [_filled(item, identity) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, identity) for key, item in value.items()}
    return value
