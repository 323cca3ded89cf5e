"""Which Debian packages the environment is made of, and which files of them it leaves out.

A list and its digest; fetches nothing.
"""

SUITE = "bookworm"
PYTHON = "3.11"  # of that suite; the compiled wheels must be for it
ARCHES = ("amd64", "arm64")  # that the layout has a place for
# What an architecture still lacks before an image of it can be made; nothing: it can.
MISSING: dict[str, tuple[str, ...]] = {
    "amd64": (),
    "arm64": (
        "its loaders (grub-efi-arm64-signed with shim-signed:arm64, and no BIOS part)",
        "its kernel package (linux-image-arm64) and a list of its kernel modules to leave out",
        "Python modules of this program compiled for aarch64",
        "a test that boots it (qemu-system-aarch64)",
    ),
}

PACKAGES = (
    # the machine itself
    "linux-image-amd64 busybox-static kmod procps",
    "systemd systemd-sysv udev systemd-resolved systemd-timesyncd",
    # the network, and who may come in
    "iproute2 iputils-ping ethtool openssh-server avahi-daemon ca-certificates curl",
    # the screen, and our own program
    "qrencode python3",
    # disks and file systems
    "util-linux fdisk gdisk parted dosfstools xfsprogs e2fsprogs zstd xz-utils smartmontools nvme-cli lsscsi",
    # hardware and firmware
    "dmidecode ipmitool lshw pciutils efibootmgr kexec-tools tpm2-tools",
)

# Blobs without which many servers' network cards have no link. Not free software, so never by default.
FIRMWARE = (
    "firmware-bnx2 firmware-bnx2x firmware-qlogic firmware-misc-nonfree firmware-realtek firmware-netronome"
)
FIRMWARE_COMPONENT = "non-free-firmware"

_NOT_UNPACKED = (
    *(
        f"/usr/share/{name}/*"
        for name in ("man", "locale", "info", "doc", "bash-completion", "zoneinfo", "i18n", "lintian", "bug")
    ),
    "/usr/lib/x86_64-linux-gnu/gconv/*",
)


def names(*, firmware: bool = False) -> tuple[str, ...]:
    """All package names to ask for."""
    return tuple(" ".join((*PACKAGES, FIRMWARE) if firmware else PACKAGES).split())


def components(*, firmware: bool = False) -> tuple[str, ...]:
    return ("main", FIRMWARE_COMPONENT) if firmware else ("main",)


def dpkg_options() -> tuple[str, ...]:
    """Documentation and locales stay out while unpacking; licences come along."""
    return (*(f"path-exclude={path}" for path in _NOT_UNPACKED), "path-include=/usr/share/doc/*/copyright")
