"""What the tools for disks share: from a path to a volume, and sizes for people. Has no tools itself."""

from iso.lab import blocks
from iso.lab.blocks import Volume
from iso.lab.shell.call import Call


def volume(call: Call, name: str) -> Volume:
    """The block device at a path; a link such as by-id counts."""
    found = blocks.as_volume(call.files.get(call.path(name)))
    if found is None:
        raise OSError(15, "Block device required", name)
    return found


def human(size: int) -> str:
    for unit in "BKMGT":
        if size < 1024 or unit == "T":
            break
        size_f = size / 1024
        size = int(size_f)
    return f"{size}{unit}"
