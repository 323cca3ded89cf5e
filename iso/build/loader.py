"""Boot loaders: GRUB for BIOS, made here; Debian's signed shim and GRUB for UEFI, with Secure Boot on or off.

Signs nothing: the signed files come out of Debian's packages as they are.
"""

from pathlib import Path

from inventory.errors import CheckFailed
from iso.build import base, tools, trim
from iso.render import grub

_CDBOOT = "/usr/lib/grub/i386-pc/cdboot.img"
_SIGNED_PACKAGES = ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")
# Name on the EFI partition → file of those packages. gcd…: the variant that looks for its menu on a medium.
_SIGNED = {
    "BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "GRUBX64.EFI": "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
    "MMX64.EFI": "usr/lib/shim/mmx64.efi.signed",
}


def bios(work: Path) -> Path:
    """The El Torito boot image."""
    (work / "early.cfg").write_text(grub.early())
    options: list[str | Path] = [
        "-O",
        "i386-pc",
        "-c",
        work / "early.cfg",
        "-p",
        grub.PREFIX,
        "-o",
        work / "core.img",
    ]
    tools.run(["grub-mkimage", *options, *grub.BIOS_MODULES])
    image = work / "eltorito.img"
    image.write_bytes(Path(_CDBOOT).read_bytes() + (work / "core.img").read_bytes())
    return image


def signed_files(cache: Path) -> Path:
    """A folder with the signed loaders; fetched once, through this machine's apt."""
    folder = cache / "signed"
    if all((folder / name).exists() for name in _SIGNED.values()):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for package in _SIGNED_PACKAGES:
        if not list(folder.glob(f"{package}_*.deb")):
            fix = "run apt-get update, then build again"
            # _apt may not enter a private cache: then apt fetches as root, which is what we are.
            tools.run(["apt-get", "-o", "APT::Sandbox::User=root", "download", package], cwd=folder, fix=fix)
    for file in sorted(folder.glob("*.deb")):
        tools.run(["dpkg-deb", "-x", file, folder])
    missing = [name for name in _SIGNED.values() if not (folder / name).exists()]
    if missing:
        raise CheckFailed(f"not in Debian's packages any more: {', '.join(missing)}", where=str(folder))
    return folder


def efi_partition(work: Path, signed: Path, *, epoch: int) -> Path:
    """A FAT file system with the loaders, as it stands behind the ISO's files."""
    tree = work / "efi"
    tree.mkdir()
    for name, source in _SIGNED.items():
        (tree / name).write_bytes((signed / source).read_bytes())
    trim.set_times(tree, epoch)
    kilobytes = sum(path.stat().st_size for path in tree.iterdir()) // 1024 + 256
    kilobytes += -kilobytes % 32  # whole cylinders of two heads and 32 sectors
    image = work / "efi.img"
    with image.open("wb") as file:
        file.truncate(kilobytes * 1024)
    env = {"SOURCE_DATE_EPOCH": str(epoch)}
    geometry = ["-T", str(kilobytes * 2), "-h", "2", "-s", "32", "-N", f"{epoch & 0xFFFFFFFF:08x}"]
    tools.run(["mformat", "-i", image, *geometry, "-v", "CTOEFI", "::"], env=env)
    tools.run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], env=env)
    tools.run(["mcopy", "-m", "-i", image, *sorted(tree.iterdir()), "::/EFI/BOOT/"], env=env)
    return image


def tree(work: Path, parts: dict[str, Path], texts: dict[str, str], *, epoch: int) -> Path:
    """The ISO's files as a folder: `parts` are copied, `texts` written."""
    root = work / "tree"
    for name, source in parts.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        base.write(place, base.chunks(source))
    for name, text in texts.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    trim.set_times(root, epoch)
    return root
