"""What a node keeps for itself: `systemReserved` of the kubelet, scaled by memory and cores. One table, no
I/O.

It covers what runs outside of pods on Talos (machined, containerd, the kubelet, udevd, and etcd on control
planes). Memory is what the kernel reports, which is less than what was bought, hence limits such as 7 and 15
GiB.
"""

from collections.abc import Mapping

GIB = 1024**3

# (at least this many GiB of memory, MiB kept)
MEMORY_TABLE: tuple[tuple[int, int], ...] = (
    (0, 384),
    (3, 512),
    (7, 768),
    (15, 1024),
    (30, 1536),
    (60, 2048),
    (120, 3072),
    (240, 4096),
)
# (at least this many cores, thousandths of a core kept)
CPU_TABLE: tuple[tuple[int, int], ...] = (
    (0, 50),
    (2, 100),
    (4, 200),
    (8, 300),
    (16, 500),
    (32, 750),
    (64, 1000),
)

# etcd's working set and its fsync threads, on top; small machines get by with less of it
CONTROL_PLANE_MEMORY_TABLE: tuple[tuple[int, int], ...] = ((0, 128), (3, 256), (15, 512), (60, 1024))
CONTROL_PLANE_CPU_TABLE: tuple[tuple[int, int], ...] = ((0, 50), (4, 100), (16, 200))


def system_reserved(*, memory: int, cores: int, control_plane: bool) -> Mapping[str, str]:
    """The value of `kubelet.extraConfig.systemReserved` for a machine of `memory` bytes and `cores` cores."""
    gib = memory // GIB
    mib, milli = _row(MEMORY_TABLE, gib), _row(CPU_TABLE, cores)
    if control_plane:
        mib += _row(CONTROL_PLANE_MEMORY_TABLE, gib)
        milli += _row(CONTROL_PLANE_CPU_TABLE, cores)
    return {"cpu": f"{milli}m", "memory": f"{mib}Mi", "ephemeral-storage": "512Mi", "pid": "100"}


def _row(table: tuple[tuple[int, int], ...], size: int) -> int:
    return max(value for least, value in table if size >= least)
