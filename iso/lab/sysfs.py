"""The file tree of a bootstrap environment on given hardware: /proc, /sys, /etc, /dev. Decides nothing."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iso.lab.blocks import Volume
from iso.lab.kinds import DiskKind, Hardware
from iso.lab.shell.files import Dir, FileTree, Link, Node

_OS_RELEASE = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"""
_EFI_GUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_DIRS = (
    "/tmp",  # noqa: S108 - of the simulated machine
    "/run",
    "/root",
    "/etc",
    "/dev",
    "/proc",
    "/sys/class/net",
    "/sys/block",
    "/mnt",
    "/var/tmp",  # noqa: S108 - of the simulated machine
    "/usr/bin",
)
_DMI_MODE = {"product_serial": 0o400, "product_uuid": 0o400, "board_serial": 0o400, "chassis_serial": 0o400}


@dataclass(frozen=True, slots=True)
class Special:
    """/dev/null, /dev/zero and their like."""

    fill: Callable[[int], bytes]
    size: int = 0
    block: bool = False

    def read(self, offset: int, length: int) -> bytes:  # noqa: ARG002 - a stream has no positions
        return self.fill(length)

    def write(self, offset: int, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def close_after_write(self) -> None: ...


def build(
    hardware: Hardware,
    *,
    hostname: str,
    boot_id: str,
    volumes: Callable[[], Mapping[str, Volume]],
    random_bytes: Callable[[int], bytes],
) -> FileTree:
    """`volumes` gives the block devices as they are now, by kernel name."""
    tree = FileTree()
    for path in _DIRS:
        tree.make_dirs(path)
    tree.put("/etc/os-release", _OS_RELEASE)
    tree.put("/etc/hostname", hostname + "\n")
    tree.put("/proc/sys/kernel/random/boot_id", boot_id + "\n")
    tree.put("/proc/sys/kernel/hostname", hostname + "\n")
    tree.put("/proc/meminfo", _meminfo(hardware.memory))
    tree.put("/proc/mounts", "overlay / overlay rw,relatime 0 0\n")
    tree.put("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
    tree.put("/proc/uptime", "60.00 100.00\n")
    tree.put("/proc/cmdline", "quiet loglevel=3 console=ttyS0,115200 console=tty0\n")
    _firmware(tree, hardware)
    _nics(tree, hardware)
    for path, content in hardware.files.items():
        tree.put(path, content)
    tree.make_dirs("/dev").live = lambda: _devices(volumes(), random_bytes)
    tree.make_dirs("/sys/block").live = lambda: {
        v.name: _block(v) for v in volumes().values() if not v.number
    }
    tree.make_dirs("/dev/disk").live = lambda: _by(hardware.disks, volumes())
    if hardware.bmc:
        tree.put("/dev/ipmi0", Special(lambda _: b""))
    return tree


def _meminfo(size: int) -> str:
    total = size // 1024
    rows = {"MemTotal": total, "MemFree": total * 9 // 10, "MemAvailable": total * 19 // 20, "Buffers": 2048,
            "Cached": 262144, "SwapTotal": 0, "SwapFree": 0}  # fmt: skip
    return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in rows.items())


def _firmware(tree: FileTree, hardware: Hardware) -> None:
    for name, value in hardware.dmi.items():
        tree.put(f"/sys/class/dmi/id/{name}", value + "\n")
        node = tree.get(f"/sys/class/dmi/id/{name}")
        node.mode = _DMI_MODE.get(name, 0o444)  # type: ignore[union-attr]
    for name, value in hardware.device_tree.items():
        tree.put(f"/sys/firmware/devicetree/base/{name}", value + "\0")
    if hardware.device_tree:
        tree.put("/proc/device-tree", Link("/sys/firmware/devicetree/base"))
    if hardware.firmware == "uefi":
        # Four bytes of attributes, then the value, as efivarfs has it.
        tree.put(
            f"/sys/firmware/efi/efivars/SecureBoot-{_EFI_GUID}", b"\x06\0\0\0" + bytes([hardware.secure_boot])
        )
        tree.put(f"/sys/firmware/efi/efivars/SetupMode-{_EFI_GUID}", b"\x06\0\0\0\0")
        tree.put("/sys/firmware/efi/fw_platform_size", "64\n")
    if hardware.tpm:
        tree.put("/sys/class/tpm/tpm0/tpm_version_major", hardware.tpm + "\n")


def _nics(tree: FileTree, hardware: Hardware) -> None:
    tree.put("/sys/class/net/lo/address", "00:00:00:00:00:00\n")
    tree.put("/sys/class/net/lo/carrier", "1\n")
    tree.put("/sys/class/net/lo/operstate", "unknown\n")
    for nic in hardware.nics:
        # On a real machine this is a link into the PCI tree; the folder shows the same to everyone who looks.
        base = f"/sys/class/net/{nic.name}"
        tree.put(f"{base}/address", nic.mac + "\n")
        tree.put(f"{base}/carrier", f"{int(nic.link)}\n")
        tree.put(f"{base}/operstate", "up\n" if nic.link else "down\n")
        tree.put(f"{base}/speed", f"{nic.speed if nic.link else -1}\n")
        tree.put(f"{base}/mtu", "1500\n")
        slot = f"PCI_SLOT_NAME={nic.pci}\n" if nic.pci else ""
        tree.put(f"{base}/device/uevent", f"DRIVER={nic.driver}\n{slot}")
        tree.put(f"{base}/device/driver", Link(f"../../../../bus/pci/drivers/{nic.driver}"))


def _devices(volumes: Mapping[str, Volume], random_bytes: Callable[[int], bytes]) -> dict[str, Node]:
    return {
        "null": Special(lambda _: b""),
        "zero": Special(bytes),
        "urandom": Special(random_bytes),
        "random": Special(random_bytes),
        "console": Special(lambda _: b""),
        **volumes,
    }


def _block(volume: Volume) -> Dir:
    disk = volume.disk
    device = Dir()
    tree = FileTree()
    tree.root = device
    values = {
        "size": volume.size // 512,
        "ro": 0,
        "removable": int(disk.transport == "usb"),
        "queue/rotational": int(disk.rotational),
        "queue/logical_block_size": disk.sector_size,
        "queue/physical_block_size": disk.sector_size,
        "device/model": disk.model,
        "device/serial": disk.serial,
        "wwid": disk.wwid,
    }
    for name, value in values.items():
        tree.put(f"/{name}", f"{value}\n")
    return device


def _by(kinds: tuple[DiskKind, ...], volumes: Mapping[str, Volume]) -> dict[str, Node]:
    """by-id, by-partuuid, by-partlabel, as udev names them."""
    links: dict[str, dict[str, Node]] = {"by-id": {}, "by-partuuid": {}, "by-partlabel": {}}
    names = {kind.name: tuple(_ids(kind)) for kind in kinds}
    for volume in volumes.values():
        target = Link(f"../../{volume.name}")
        tail = f"-part{volume.number}" if volume.number else ""
        for name in names.get(volume.disk.name, ()):
            links["by-id"][name + tail] = target
        if volume.part_uuid:
            links["by-partuuid"][volume.part_uuid] = target
        if volume.part_label:
            links["by-partlabel"][volume.part_label] = target
    return {name: Dir(children) for name, children in links.items() if children}


def _ids(kind: DiskKind) -> list[str]:
    model = "_".join(kind.model.split())
    match kind.transport:
        case "nvme":
            wwid = [f"nvme-{kind.wwid}"] if kind.wwid else []
            return [f"nvme-{model}_{kind.serial}", *wwid]
        case "virtio":
            return [f"virtio-{kind.serial[:20]}"]
        case "mmc":
            return [f"mmc-{model}_{kind.serial}"]
        case "usb":
            return [f"usb-{model}_{kind.serial}-0:0"]
        case _:
            prefix = "scsi" if kind.transport == "sas" else "ata"
            number = kind.wwid.removeprefix("naa.").removeprefix("0x")
            return [f"{prefix}-{model}_{kind.serial}", *([f"wwn-0x{number}"] if number else [])]


def new_boot_id(random_bytes: Callable[[int], bytes]) -> str:
    return str(uuid.UUID(bytes=random_bytes(16), version=4))
