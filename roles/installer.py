"""Where every byte of an installed disk goes: the Talos image and the partition that carries the
configuration.

Plans only; the order in which the parts are written is the caller's, and it matters: `body` (verified by
reading back), `backup`, `config_volume`, and `first_mib` last of all, so that a power cut at any earlier
moment leaves a disk without a boot sector and the firmware starts our medium again.

Talos takes its configuration from the first volume that is called metal-iso, on whichever disk it is (Talos
platform/metal, blockutils). The partition stands directly after META: Talos gives EPHEMERAL the largest free
run, and a partition at the end of the disk would stop its growth.
"""

from dataclasses import dataclass, field
from uuid import UUID

from facts.machine_model import Hardware, HardwareDisk, human_size
from inventory.errors import RefusedError
from roles import fat, gpt

MIB = gpt.MIB
CONFIG_LABEL = "metal-iso"
CONFIG_FILE = "config.yaml"
# What Talos adds at its first boot: STATE (100 MiB) and EPHEMERAL (at least 2 GiB).
_GROWTH = 100 * MIB + 2048 * MIB


@dataclass(frozen=True, slots=True)
class InstallLayout:
    """`body` is (offset, length) in image and disk alike; the others are (offset, bytes) of the disk."""

    first_mib: bytes = field(repr=False)
    body: tuple[int, int]
    backup: tuple[int, bytes] = field(repr=False)
    config_volume: tuple[int, bytes] = field(repr=False)  # holds the cluster's secrets
    config_partuuid: str  # lower case; finds the partition again, whatever its number became
    table: gpt.Table


def plan_layout(
    image_head: bytes,
    image_size: int,
    *,
    disk_size: int,
    logical_sector: int,
    config: bytes,
    config_partuuid: UUID,
    where: str = "",
) -> InstallLayout:
    """The layout for an image whose first MiB is `image_head` and whose raw size is `image_size`.

    `config_partuuid` is given, so that planning again after a crash gives the same bytes.
    """
    image = _usable_image(image_head, image_size, disk_size, logical_sector, where)
    table = gpt.add_after(
        gpt.resize(image, disk_size // 512),
        "META",
        CONFIG_LABEL,
        size_bytes=fat.SIZE,
        type_guid=gpt.MICROSOFT_BASIC_DATA,
        guid=config_partuuid,
    )
    head = gpt.primary(table, image_head[:512])
    volume = next(part for part in table.partitions if part.guid == config_partuuid)
    return InstallLayout(
        first_mib=head + image_head[len(head) : MIB],
        body=(MIB, image_size - MIB),
        backup=(gpt.backup_offset(table), gpt.backup(table)),
        config_volume=(table.offset(volume), fat.build(CONFIG_LABEL, {CONFIG_FILE: config})),
        config_partuuid=str(config_partuuid),
        table=table,
    )


def _usable_image(
    image_head: bytes, image_size: int, disk_size: int, logical_sector: int, where: str
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
    needed = image_size + fat.SIZE + 2 * MIB + _GROWTH
    if disk_size < needed:
        raise _too_small(disk_size, needed, where)
    return image


def check_no_other_config(hardware: Hardware, target: HardwareDisk, where: str = "") -> None:
    """Refuses if any other disk has a volume called metal-iso: Talos would take the first it finds."""
    for disk in hardware.disks:
        if disk.name == target.name:
            continue  # all of it is overwritten
        # A file system straight on the disk has its label only in the words about its contents.
        if CONFIG_LABEL in disk.labels or any(repr(CONFIG_LABEL) in text for text in disk.contents):
            raise RefusedError(
                f"{disk.path} ({disk.model or disk.kind}) has a volume called {CONFIG_LABEL}, and Talos "
                "takes its configuration from the first one it finds, on any disk",
                where=where,
                fix="remove that medium, or give its volume another label",
            )


def _too_small(disk_size: int, needed: int, where: str) -> RefusedError:
    return RefusedError(
        f"the disk is too small: {human_size(disk_size)}, needed are {human_size(needed)}",
        where=where,
        fix="use a larger disk",
    )
