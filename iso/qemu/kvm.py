"""Whether KVM really works here: a few bytes of guest code are run with it.

That /dev/kvm can be opened says little: nested virtualization may open and then never run anything.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

# mov al,0x21; out 0xf4,al; hlt: QEMU's debug-exit device ends QEMU with status 2 * 0x21 + 1.
_CODE = b"\xb0\x21\xe6\xf4\xf4"
_STATUS = 0x21 * 2 + 1
# Far more than it takes. KVM inside of an emulator may work and be slower than software emulation.
_SECONDS = 5
_DISK = 1024 * 1024  # the firmware wants some cylinders


def accelerator() -> Literal["kvm", "tcg"]:
    """`kvm` if guest code ran with it, otherwise software emulation."""
    if not Path("/dev/kvm").exists() or shutil.which("qemu-system-x86_64") is None:
        return "tcg"
    return "kvm" if probe("kvm") else "tcg"


def probe(accel: str) -> bool:
    """Boots a sector that asks to end with a certain status."""
    with tempfile.TemporaryDirectory(prefix="cto-kvm-") as folder:
        disk = Path(folder) / "boot"
        disk.write_bytes(_CODE.ljust(510, b"\0") + b"\x55\xaa".ljust(_DISK - 510, b"\0"))
        argv = [
            *("qemu-system-x86_64", "-accel", accel, "-machine", "q35", "-nodefaults", "-display", "none"),
            # The processor that machines get: QEMU may fail to set it up where a simpler one works.
            *("-cpu", "host" if accel == "kvm" else "max"),
            *("-m", "32", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
            *("-drive", f"if=none,id=d,format=raw,file={disk}", "-device", "virtio-blk-pci,drive=d"),
        ]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == _STATUS
