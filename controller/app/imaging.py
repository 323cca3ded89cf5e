"""Shim until the move."""

from controller.adapters.imaging import (
    MIB as MIB,
)
from controller.adapters.imaging import (
    hash_range as hash_range,
)
from controller.adapters.imaging import (
    write_bytes as write_bytes,
)
from controller.adapters.imaging import (
    write_image as _w,
)


async def write_image(ssh, target, disk, image, images, *, sent):
    await _w(ssh, target, disk, image, sent=sent)
