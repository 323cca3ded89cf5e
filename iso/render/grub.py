"""The boot loader's configuration, as text. No questions: a headless machine must go on by itself."""

from iso.render.site import SiteLayer

VOLUME = "CTO_BOOT"
MARKER = ".disk/info"  # by this file the loader finds our medium
PREFIX = "/boot/grub"
SITE_LAYER = "boot/site.img"  # of no architecture
_PAYLOAD = "boot/payload.img"
BIOS_MODULES = (
    *("biosdisk", "iso9660", "part_gpt", "part_msdos", "fat"),
    *("search", "search_fs_file", "search_label", "normal", "configfile", "test", "echo", "minicmd"),
    *("linux", "serial", "terminal", "reboot", "halt"),
)

# no_timer_check: the kernel's timer test can fail on a virtual machine that is not scheduled in time.
# panic: a failed boot tries again instead of standing still.
_KERNEL = "quiet loglevel=3 no_timer_check consoleblank=0 panic=30"


def early() -> str:
    """Built into the loader: find the medium, read the menu from it."""
    return (
        f"search --no-floppy --set=root --file /{MARKER}\n"
        f"set prefix=($root){PREFIX}\n"
        f"configfile ($root){PREFIX}/grub.cfg\n"
    )


def kernel_line(layer: SiteLayer) -> str:
    """The kernel's arguments; the last console is the one that kernel messages of a panic go to."""
    return f"{_KERNEL} console={layer.serial},115200 console=tty0"


def kernel(arch: str) -> str:
    """Each architecture has its folder, so that one medium could start both."""
    return f"boot/{arch}/vmlinuz"


def initrds(arch: str, *, payload: bool = False) -> tuple[str, ...]:
    """In this order; later ones win."""
    return (
        f"boot/{arch}/base.img",
        f"boot/{arch}/product.img",
        *([_PAYLOAD] if payload else []),
        SITE_LAYER,
    )


def menu(layer: SiteLayer, *, arch: str = "amd64", payload: bool = False) -> str:
    unit = layer.serial.removeprefix("ttyS")
    return f"""\
# UEFI firmware mirrors its console to the serial line by itself.
if [ "$grub_platform" = pc ]; then
  serial --unit={unit} --speed=115200
  terminal_input console serial
  terminal_output console serial
fi
set timeout=2
set default=0
menuentry "Platform-in-a-Box" {{
  echo "Loading the kernel..."
  linux /{kernel(arch)} {kernel_line(layer)}
  echo "Loading the environment into memory..."
  initrd {" ".join(f"/{name}" for name in initrds(arch, payload=payload))}
}}
menuentry "Restart" {{ reboot }}
menuentry "Power off" {{ halt }}
"""


def signed_menu() -> str:
    """Where Debian's signed loader looks first; it has its own idea of the prefix."""
    return f"configfile ($root){PREFIX}/grub.cfg\n"
