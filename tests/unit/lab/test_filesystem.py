"""The lab's stand-in for XFS behind the real commands: made over a range, written back, lost with the power."""

import hashlib

from controller.app.delivery import state
from iso.lab import xfs

MIB = 1024 * 1024
AT = ("/dev/sda", 20 * MIB, 300 * MIB)
TEXT = b"version: v1alpha1\n"


async def test_the_commands_of_delivery_by_state(sh):
    assert (await sh(state.read_command(*AT)))[0] != 0
    status, _, error = await sh(state.make_command(*AT), TEXT)
    assert (status, error) == (0, "")
    status, out, _ = await sh(state.read_command(*AT))
    assert status == 0
    assert out.split()[:2] == ["600", hashlib.sha256(TEXT).hexdigest()]
    assert (await sh("losetup -j /dev/sda; mount | grep xfs"))[1] == ""


async def test_what_was_not_unmounted_is_not_on_the_disk(sh):
    loop = "loop=$(losetup --find --show --offset 20971520 --sizelimit 314572800 /dev/sda)"
    await sh(
        f"{loop} && mkfs.xfs -q -f -L STATE $loop && mkdir -p /m && mount -t xfs $loop /m && echo x >/m/a"
    )
    disk = sh.host.disks["sda"]
    assert disk.read(20 * MIB, 4) == xfs.MAGIC
    assert xfs.load(disk, at=20 * MIB) is None
    await sh("sync")
    assert xfs.load(disk, at=20 * MIB)["files"]["a"]["text"] == "x\n"
    # An earlier attempt that was cut off does not stand in the way of the next.
    assert (await sh("umount /m; losetup -d /dev/loop0; " + state.make_command(*AT), TEXT))[0] == 0


async def test_refusals_are_those_of_the_real_tools(sh):
    made = "loop=$(losetup --find --show --offset 0 --sizelimit {} /dev/sda) && mkfs.xfs -q $loop"
    status, _, error = await sh(made.format(100 * MIB))
    assert status
    assert "larger than 300MB" in error
    assert (await sh("mkfs.xfs -q -f /dev/sda && mkfs.xfs -q /dev/sda"))[0] == 1
    assert (await sh("mount -t xfs /dev/sda /nowhere"))[0] == 32
    assert (await sh("losetup -d /dev/loop9"))[0] == 1
