"""Make the firmware boot from the disk.

UEFI: one entry for the disk's loader, first in the order; done twice it is still one. BIOS: there is nothing
an operating system could set, which the result says. Restarts nothing.
"""

import shlex
from collections.abc import Generator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pyinfra.api.deploy import deploy
from pyinfra.api.operation import operation
from pyinfra.context import host

from deploys import registry
from deploys.disk import DiskFact, DiskIdentity, require
from deploys.efi import Entry, Firmware, FirmwareFact
from inventory.errors import CheckFailed

LOADERS = {"amd64": "\\EFI\\BOOT\\BOOTX64.EFI", "arm64": "\\EFI\\BOOT\\BOOTAA64.EFI"}
_FIX = "set the disk first in the firmware's own menu, then run the command again"


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    disk: DiskIdentity
    arch: Literal["amd64", "arm64"] = "amd64"
    efi_partition: int = Field(default=1, ge=1, le=128)  # its number in the image's partition table
    efi_partuuid: str = Field(default="", pattern=r"^[0-9A-Fa-f-]*$")
    label: str = Field(default="Talos", pattern=r"^[A-Za-z0-9 ._-]{1,40}$")


@deploy("Set boot order")
def run(data: Data) -> registry.Conclude:
    require(data.disk, host.get_fact(DiskFact, path=data.disk.path))
    firmware = host.get_fact(FirmwareFact)
    if not firmware.uefi:
        note = "BIOS: the boot order can't be set from here; the disk must come before the medium in its menu"
        return lambda: {"firmware": "bios", "note": note}
    if firmware.problem:
        raise CheckFailed(f"the firmware's boot entries can't be read: {firmware.problem}", fix=_FIX)
    boot_first(name="Boot the disk first", data=data)
    return lambda: _prove(data)


@operation()
def boot_first(data: Data) -> Generator[str, None, None]:
    """Keep, make or move the entry; remove others of our label and a leftover one-time choice."""
    firmware = host.get_fact(FirmwareFact)
    ours = firmware.named(data.label)
    kept = next((entry for entry in ours if _leads_to(entry, data)), None)
    for entry in ours:
        if entry is not kept:
            yield f"efibootmgr -q -b {entry.number} -B"
    if kept is None:
        # efibootmgr puts an entry that it makes first in the order.
        yield (
            f"efibootmgr -q -c -d {shlex.quote(data.disk.path)} -p {data.efi_partition} "
            f"-L {shlex.quote(data.label)} -l {shlex.quote(LOADERS[data.arch])}"
        )
    elif firmware.order[:1] != (kept.number,):
        gone = {entry.number for entry in ours}
        rest = [number for number in firmware.order if number not in gone]
        yield f"efibootmgr -q -o {','.join([kept.number, *rest])}"
    if firmware.next:
        yield "efibootmgr -q -N"


def _leads_to(entry: Entry, data: Data) -> bool:
    """Whether the entry is for the disk's EFI partition, as far as its device path tells."""
    path = entry.path.lower()
    return not path or not data.efi_partuuid or data.efi_partuuid.lower() in path


def _prove(data: Data) -> dict[str, object]:
    firmware: Firmware = host.get_fact(FirmwareFact)
    ours = firmware.named(data.label)
    if len(ours) != 1 or firmware.order[:1] != (ours[0].number,):
        raise CheckFailed("the firmware did not keep the boot entry", fix=_FIX)
    return {"firmware": "uefi", "entry": ours[0].number}
