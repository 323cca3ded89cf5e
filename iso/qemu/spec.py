"""A virtual machine as a value, and the QEMU command line that it means. Starts nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Firmware = Literal["bios", "uefi", "secure"]
DiskKind = Literal["virtio", "nvme", "sata", "scsi", "usb"]
_OVMF = Path("/usr/share/OVMF")
# Code and the variables to begin with, by firmware. The secure one holds Microsoft's keys and enforces.
OVMF = {
    "uefi": ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
    "secure": ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
}


@dataclass(frozen=True, slots=True)
class Disk:
    """`sector`: bytes of a logical sector, 512 or 4096. `usb`: a stick that says it is removable."""

    path: Path
    kind: DiskKind = "virtio"
    serial: str = "DISK1"
    sector: int = 512


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """Kernel and initramfs without firmware and loader: for tests that are not about booting."""

    kernel: Path
    initrd: Path  # all parts in one file
    arguments: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What SMBIOS says."""

    uuid: str
    vendor: str = "Lab"
    product: str = "Virtual Machine"
    serial: str = "LAB0001"
    bios: str = "1.2.3"


@dataclass(frozen=True, slots=True)
class VmSpec:
    """`tap`: an interface on a bridge; without one, port `ssh_port` of the loopback leads to port 22.

    A disk comes before the medium: an empty one falls through to it.
    """

    name: str
    identity: Identity
    firmware: Firmware = "bios"
    medium: Path | None = None
    stick: bool = False  # the medium as a USB stick instead of a CD
    direct: DirectBoot | None = None
    disks: tuple[Disk, ...] = ()
    mac: str = "52:54:00:98:00:01"
    tap: str = ""
    ssh_port: int = 0
    isolated: bool = False  # no way out of the machine but to `ssh_port`
    memory: int = 1024  # MiB
    cpus: int = 2
    accelerator: Literal["tcg", "kvm"] = "tcg"
    rate: int = 0  # bytes a second at which the first disk is written; 0: as fast as it goes
    extra: tuple[str, ...] = field(default=())


def command(spec: VmSpec, folder: Path) -> list[str]:
    """The whole command line. `folder` holds what belongs to the machine: variables, sockets, logs."""
    accelerator = "tcg,thread=multi" if spec.accelerator == "tcg" else "kvm"
    secure = ",smm=on" if spec.firmware == "secure" else ""
    # In system management mode all processors wait for each other; emulated ones were seen to do so for ever.
    cpus = 1 if secure and spec.accelerator == "tcg" else spec.cpus
    return [
        *("qemu-system-x86_64", "-name", spec.name, "-accel", accelerator, "-machine", f"q35{secure}"),
        *("-cpu", "max" if spec.accelerator == "tcg" else "host"),
        *("-smp", str(cpus), "-m", str(spec.memory)),
        *("-nodefaults", "-display", "none", "-vga", "std", "-device", "virtio-rng-pci"),
        # What the port says goes to the file whether or not somebody listens at the socket.
        *(
            "-chardev",
            f"socket,id=serial,path={serial(folder)},server=on,wait=off,logfile={folder / 'serial.log'}",
        ),
        *("-serial", "chardev:serial"),
        *("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"),
        *_identity(spec.identity),
        *_firmware(spec.firmware, folder),
        *_usb(spec),
        *_disks(spec),
        *_medium(spec),
        *_network(spec),
        *spec.extra,
    ]


def _identity(identity: Identity) -> list[str]:
    values = {
        "manufacturer": identity.vendor,
        "product": identity.product,
        "serial": identity.serial,
        "uuid": identity.uuid,
    }
    system = "".join(f",{key}={_escaped(value)}" for key, value in values.items())
    bios = f"type=0,vendor=Lab,version={_escaped(identity.bios)}"
    return ["-uuid", identity.uuid, "-smbios", bios, "-smbios", f"type=1{system}"]


def _escaped(value: str) -> str:
    """QEMU doubles a comma inside a value."""
    return value.replace(",", ",,")


def _firmware(firmware: Firmware, folder: Path) -> list[str]:
    if firmware == "bios":
        return []
    code, _ = OVMF[firmware]
    unit = "if=pflash,format=raw,unit="
    flash = [f"{unit}0,readonly=on,file={_OVMF / code}", f"{unit}1,file={variables(folder)}"]
    secure = [
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-global", "ICH9-LPC.disable_s3=1"),
    ]
    drives = [part for drive in flash for part in ("-drive", drive)]
    return [*drives, *(secure if firmware == "secure" else [])]


def serial(folder: Path) -> Path:
    """The socket at which a person, or a test, sits at the machine's serial port."""
    return folder / "serial"


def variables(folder: Path) -> Path:
    """The machine's own copy of the firmware's variables; they outlive a power cut."""
    return folder / "vars.fd"


def variables_template(firmware: Firmware) -> Path:
    """The variables that a machine with UEFI begins with."""
    return _OVMF / OVMF[firmware][1]


def _disks(spec: VmSpec) -> list[str]:
    found = []
    for number, disk in enumerate(spec.disks):
        throttle = f",throttling.bps-write={spec.rate}" if spec.rate and number == 0 else ""
        drive = (
            f"if=none,id=d{number},format=raw,cache=writethrough,file={_escaped(str(disk.path))}{throttle}"
        )
        order = f"bootindex={number + 1}"  # 0 is what -kernel takes
        sectors = f",logical_block_size={disk.sector},physical_block_size=4096" if disk.sector != 512 else ""
        device = {
            "virtio": f"virtio-blk-pci,drive=d{number},serial={disk.serial}",
            "nvme": f"nvme,drive=d{number},serial={disk.serial}",
            "sata": f"ide-hd,drive=d{number},serial={disk.serial},bus=ide.{number}",
            "scsi": f"scsi-hd,drive=d{number},serial={disk.serial},bus=s{number}.0",
            "usb": f"usb-storage,drive=d{number},serial={disk.serial},bus=x.0,removable=on",
        }[disk.kind]
        bus = ["-device", f"virtio-scsi-pci,id=s{number}"] if disk.kind == "scsi" else []
        found += [*bus, "-drive", drive, "-device", f"{device},{order}{sectors}"]
    return found


def _usb(spec: VmSpec) -> list[str]:
    """The controller, where something is to be plugged into it."""
    stick = spec.medium is not None and spec.stick
    return ["-device", "qemu-xhci,id=x"] if stick or any(d.kind == "usb" for d in spec.disks) else []


def _medium(spec: VmSpec) -> list[str]:
    if spec.direct is not None:
        boot = spec.direct
        return ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.arguments]
    if spec.medium is None:
        return []
    kind = "" if spec.stick else ",media=cdrom"
    drive = f"if=none,id=m,format=raw,readonly=on{kind},file={_escaped(str(spec.medium))}"
    stick = ["-device", "usb-storage,bus=x.0,drive=m,bootindex=9"]
    return ["-drive", drive, *(stick if spec.stick else ["-device", "ide-cd,bus=ide.5,drive=m,bootindex=9"])]


def _network(spec: VmSpec) -> list[str]:
    if spec.tap:
        back = f"tap,id=n0,ifname={spec.tap},script=no,downscript=no"
    else:
        forward = f",hostfwd=tcp:127.0.0.1:{spec.ssh_port}-:22" if spec.ssh_port else ""
        back = f"user,id=n0{forward}" + (",restrict=on" if spec.isolated else "")
    # No option ROM: it would only try to boot from the network.
    return ["-netdev", back, "-device", f"virtio-net-pci,netdev=n0,mac={spec.mac},romfile="]
