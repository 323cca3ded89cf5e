"""Operations that make a disk forget: users stopped, signatures gone, first and last MiB zero.

Idempotent: on a disk that is blank already they run nothing. What lies between is not overwritten.
"""

import shlex
from collections.abc import Generator, Iterator

from pyinfra.api.operation import operation
from pyinfra.context import host

from deploys.disk import MIB, SWAP, BlankFact, DiskFact, DiskIdentity, DiskState, require, require_unused

_STOP = {"lvm": "dmsetup remove", "crypt": "dmsetup remove", "dm": "dmsetup remove", "mpath": "multipath -f"}


@operation()
def stop_users(disk: DiskIdentity) -> Generator[str, None, None]:
    """Switch off swap, RAID, LVM and the like that started by themselves. Refuses mounted disks."""
    state = host.get_fact(DiskFact, path=disk.path)
    require(disk, state)
    require_unused(disk, state)
    for device in state.children:
        path = shlex.quote(device.path)
        if SWAP in device.mounts:
            yield f"swapoff {path}"
        if device.type.startswith("raid"):
            yield f"mdadm --stop {path}"
        elif device.type in _STOP:
            yield f"{_STOP[device.type]} {path}"


@operation()
def wipe(disk: DiskIdentity) -> Generator[str, None, None]:
    """Remove all signatures, then zero the first and the last MiB: nothing boots or assembles from it.

    The disk's identity is looked at once more, immediately before its first command.
    """
    state = host.get_fact(DiskFact, path=disk.path)
    require(disk, state)
    if not state.holds and host.get_fact(BlankFact, path=disk.path, size=disk.size):
        return
    yield from _commands(disk, state)


def _commands(disk: DiskIdentity, state: DiskState) -> Iterator[str]:
    path = shlex.quote(disk.path)
    for device in state.children:
        if device.type == "part" and device.fstype:
            yield f"wipefs -a {shlex.quote(device.path)}"
    yield f"wipefs -a {path}"
    zero = f"dd if=/dev/zero of={path} bs=1M count=1 conv=notrunc,fsync status=none"
    yield zero
    yield f"{zero} oflag=seek_bytes seek={disk.size - MIB}"
    # The kernel may still show the old partitions; that it can't re-read now does no harm.
    yield f"blockdev --rereadpt {path} || true"
