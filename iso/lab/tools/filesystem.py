"""File systems: losetup, mkfs.xfs, mount and umount, for the lab's stand-in for XFS. FAT is not mounted.

What is written under a mount point reaches the disk when it is unmounted, or by `sync`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

from iso.lab import xfs
from iso.lab.blocks import Volume
from iso.lab.shell.call import Call, Tool, UsageError, decode, encode, options
from iso.lab.shell.files import Dir, File
from iso.lab.tools.volumes import volume


@dataclass(frozen=True, slots=True)
class Mount:
    volume: Volume
    folder: Dir
    read_only: bool

    def write_back(self) -> None:
        if self.read_only:
            return
        files = {
            name: {"mode": f"{node.mode:o}", "text": decode(node.data)}
            for name, node in self.folder.children.items()
            if isinstance(node, File)
        }
        xfs.save(self.volume, {**(xfs.load(self.volume) or {}), "files": files})
        self.volume.flush()


_LOSETUP = {"--find": "-f", "--show": "-s", "--read-only": "-r", "--offset": "-o", "--sizelimit": "-S",
            "--detach": "-d", "--associated": "-j"}  # fmt: skip


async def losetup(call: Call) -> int:
    """`-f --show [-r] -o OFFSET --sizelimit SIZE DISK`, `-j DISK`, `-d LOOP`."""
    found, names = options([_LOSETUP.get(arg, arg) for arg in call.args], "fsr", "oSdj")
    loops = call.host.loops
    if "j" in found:
        disk = volume(call, found["j"]).disk
        mine = sorted(name for name, loop in loops.items() if loop.disk is disk)
        return await call.print(*(f"/dev/{name}: []: ({found['j']})" for name in mine))
    if "d" in found:
        name = found["d"].removeprefix("/dev/")
        if name not in loops:
            return await call.fail(f"{found['d']}: detach failed: No such device or address")
        del loops[name]
        return 0
    if not {"f", "s"} <= set(found) or len(names) != 1:
        raise UsageError("the lab's losetup knows -f --show, -j and -d")
    base = volume(call, names[0])
    offset = int(found.get("o", 0))
    size = min(int(found.get("S", base.size)), base.size - offset)
    name = next(f"loop{number}" for number in range(64) if f"loop{number}" not in loops)
    loops[name] = replace(base, name=name, start=base.start + offset, size=size)
    return await call.print(f"/dev/{name}")


async def mkfs_xfs(call: Call) -> int:
    found, names = options(call.args, "qf", "L")
    one = volume(call, names[0])
    if one.size < xfs.SMALLEST:
        return await call.fail("Filesystem must be larger than 300MB.")
    if "f" not in found and xfs.is_made(one):
        return await call.fail(f"{names[0]} appears to contain an existing filesystem (xfs).")
    if _mounted(call, one):
        return await call.fail(f"{names[0]} contains a mounted filesystem")
    xfs.make(one, found.get("L", ""), uuid4().bytes)
    return 0


async def mount(call: Call) -> int:
    """`mount -t xfs [-o ro,…] DEVICE FOLDER`; without arguments what is mounted."""
    found, names = options(call.args, "", "to")
    if not names:
        await call.print(
            "overlay on / type overlay (rw,relatime)", "tmpfs on /run type tmpfs (rw,nosuid,nodev)"
        )
        return await call.print(
            *(f"/dev/{one.volume.name} on {path} type xfs (rw)" for path, one in call.host.mounts.items())
        )
    if found.get("t") != "xfs" or len(names) != 2:
        return await call.fail("the lab's machines mount xfs only: mount -t xfs DEVICE FOLDER", 32)
    one, path = volume(call, names[0]), call.path(names[1])
    parent, entry = call.files.parent(path)
    if not isinstance(parent.entries().get(entry), Dir):
        return await call.fail(f"{path}: mount point does not exist.", 32)
    if not xfs.is_made(one) or path in call.host.mounts:
        return await call.fail(f"{path}: wrong fs type, bad option, bad superblock on {names[0]}.", 32)
    stored = (xfs.load(one) or {}).get("files", {})
    files = {name: File(encode(each["text"]), int(each["mode"], 8)) for name, each in stored.items()}
    folder = Dir(dict(files))
    parent.children[entry] = folder
    read_only = "ro" in found.get("o", "").split(",")
    call.host.mounts[path] = Mount(one, folder, read_only)
    return 0


async def umount(call: Call) -> int:
    path = call.path(call.args[-1]) if call.args else ""
    found = call.host.mounts.pop(path, None)
    if found is None:
        return await call.fail(f"{call.args[-1] if call.args else ''}: not mounted.", 32)
    parent, entry = call.files.parent(path)
    parent.children[entry] = Dir()
    found.write_back()
    return 0


def _mounted(call: Call, one: Volume) -> bool:
    return any(m.volume.start == one.start and m.volume.disk is one.disk for m in call.host.mounts.values())


TOOLS: Mapping[str, Tool] = {
    "losetup": losetup,
    "mkfs.xfs": mkfs_xfs,
    "mount": mount,
    "umount": umount,
}
