"""Where every byte of an installed disk goes: the Talos image and the partition that carries the
configuration.

Plans only; the order in which the parts are written is the caller's, and it matters: `body` (verified by
reading back), `backup`, `config_volume`, and `first_mib` last of all, so that a power cut at any earlier
moment leaves a disk without a boot sector and the firmware starts our medium again.

The configuration has a partition of 16 MiB called metal-iso, or Talos' own STATE made in advance, or none
if it is pushed later. Talos takes the first STATE, else the first metal-iso, on whichever disk it is (Talos
acquire.go, platform/metal, blockutils). The partition stands directly after META: Talos gives EPHEMERAL the
largest free run, and a partition at the end of the disk would stop its growth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from facts.machine_model import Hardware, HardwareDisk, human_size
from inventory.delivery import Method
from inventory.errors import RefusedError
from roles import fat, gpt

MIB = gpt.MIB
CONFIG_LABEL = "metal-iso"
STATE_LABEL = "STATE"
CONFIG_FILE = "config.yaml"
# Name, type and size of the partition that carries the configuration. XFS is not made smaller than 300 MiB.
_PARTITIONS: Mapping[Method, tuple[str, UUID, int]] = {
    "metal-iso": (CONFIG_LABEL, gpt.MICROSOFT_BASIC_DATA, fat.SIZE),
    "state": (STATE_LABEL, gpt.LINUX_FILESYSTEM, 300 * MIB),
}
# What Talos adds at its first boot: STATE (100 MiB) and EPHEMERAL (at least 2 GiB).
_GROWTH = 100 * MIB + 2048 * MIB


@dataclass(frozen=True, slots=True)
class InstallLayout:
    """`body` is (offset, length) in image and disk alike; the others are (offset, bytes) of the disk.

    The bytes of `config_volume` are empty where the machine makes the file system (STATE), and `config_size`
    is 0 where there is no partition for the configuration.
    """

    first_mib: bytes = field(repr=False)
    body: tuple[int, int]
    backup: tuple[int, bytes] = field(repr=False)
    config_volume: tuple[int, bytes] = field(repr=False)  # holds the cluster's secrets
    config_size: int
    config_partuuid: str  # lower case, or empty; finds the partition again, whatever its number became
    table: gpt.Table


def plan_layout(
    image_head: bytes,
    image_size: int,
    *,
    disk_size: int,
    logical_sector: int,
    config: bytes,
    config_partuuid: UUID,
    method: Method = "metal-iso",
    where: str = "",
) -> InstallLayout:
    """The layout for an image whose first MiB is `image_head` and whose raw size is `image_size`.

    `config_partuuid` is given, so that planning again after a crash gives the same bytes.
    """
    extra = _PARTITIONS[method][2] if method in _PARTITIONS else 0
    image = _usable_image(image_head, image_size, disk_size, logical_sector, extra, where)
    table = gpt.resize(image, disk_size // 512)
    volume = None
    if method in _PARTITIONS:
        name, kind, size = _PARTITIONS[method]
        table = gpt.add_after(table, "META", name, size_bytes=size, type_guid=kind, guid=config_partuuid)
        volume = next(part for part in table.partitions if part.guid == config_partuuid)
    head = gpt.primary(table, image_head[:512])
    contents = fat.build(CONFIG_LABEL, {CONFIG_FILE: config}) if method == "metal-iso" else b""
    return InstallLayout(
        first_mib=head + image_head[len(head) : MIB],
        body=(MIB, image_size - MIB),
        backup=(gpt.backup_offset(table), gpt.backup(table)),
        config_volume=(table.offset(volume) if volume else 0, contents),
        config_size=table.size(volume) if volume else 0,
        config_partuuid=str(config_partuuid) if volume else "",
        table=table,
    )


def _usable_image(
    image_head: bytes, image_size: int, disk_size: int, logical_sector: int, extra: int, where: str
) -> gpt.Table:
    """The image's table, once image and disk fit each other."""
    if logical_sector != 512:
        raise RefusedError(
            f"the disk has {logical_sector}-byte logical sectors, the image's partition table needs 512",
            where=where,
            fix="use a disk with 512-byte logical sectors, or reformat this one to them (nvme format)",
        )
    if len(image_head) < MIB or image_size <= MIB:
        raise RefusedError(
            "the image is smaller than 1 MiB", where=where, fix="fetch a Talos metal image (.raw.zst)"
        )
    if image_size > disk_size:
        raise _too_small(disk_size, image_size, where)
    image = gpt.parse(lambda offset, length: image_head[offset : offset + length], image_size // 512)
    if image.named("META") is None:
        raise RefusedError(
            "the image has no META partition, so it is no Talos disk image",
            where=where,
            fix="give the URL of a Talos metal raw image, not of an ISO",
        )
    needed = image_size + extra + 2 * MIB + _GROWTH
    if disk_size < needed:
        raise _too_small(disk_size, needed, where)
    return image


def check_no_other_config(
    hardware: Hardware, target: HardwareDisk, where: str = "", *, method: Method = "metal-iso"
) -> None:
    """Refuses if another disk has a volume that Talos would take the configuration from instead: the first
    STATE that it finds, and with `metal-iso` the first volume of that name.
    """
    for disk in hardware.disks:
        if disk.name == target.name:
            continue  # all of it is overwritten
        names = [volume.partlabel for volume in disk.volumes]
        if STATE_LABEL in names:
            raise _other(disk, STATE_LABEL, "wipe that disk (wipefs -a), or remove it", where)
        # A file system straight on the disk has its label only in the words about its contents.
        labeled = CONFIG_LABEL in disk.labels or any(repr(CONFIG_LABEL) in text for text in disk.contents)
        if labeled and method == "metal-iso":
            raise _other(disk, CONFIG_LABEL, "remove that medium, or give its volume another label", where)


def _other(disk: HardwareDisk, label: str, fix: str, where: str) -> RefusedError:
    what = (
        f"{disk.path} ({disk.model or disk.kind}) has a volume called {label}, and Talos "
        "takes its configuration from the first one it finds, on any disk"
    )
    return RefusedError(what, where=where, fix=fix)


def _too_small(disk_size: int, needed: int, where: str) -> RefusedError:
    return RefusedError(
        f"the disk is too small: {human_size(disk_size)}, needed are {human_size(needed)}",
        where=where,
        fix="use a larger disk",
    )
