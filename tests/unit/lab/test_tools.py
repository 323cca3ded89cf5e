"""The tools that look at disks, firmware and hardware, as our own deploys and facts use them."""

import gzip
import hashlib
import json
import random

import zstandard

from iso.lab import nvram
from iso.lab.image import raw_image
from roles import fat

MIB = 1024 * 1024
COLUMNS = "NAME,PATH,TYPE,SIZE,MODEL,SERIAL,WWN,ROTA,TRAN,RO,RM,LOG-SEC,PHY-SEC,FSTYPE,LABEL,PARTLABEL,PARTUUID,PTTYPE,MOUNTPOINTS"


async def lsblk(sh):
    _, out, _ = await sh(f"lsblk -J -b -o {COLUMNS}")
    return {row["name"]: row for row in json.loads(out)["blockdevices"]}


async def test_lsblk_tells_what_is_on_the_disks(sh):
    rows = await lsblk(sh)
    assert list(rows) == ["sda", "sdb", "sdc"]
    assert rows["sda"]["pttype"] is None
    assert "children" not in rows["sda"]
    assert rows["sdb"]["children"][0]["fstype"] == "ext4"
    assert rows["sdc"]["log-sec"] == 4096
    assert rows["sdc"]["rota"] is True
    assert await sh("lsblk -dnpo NAME -e 1,7,11") == (0, "/dev/sda\n/dev/sdb\n/dev/sdc\n", "")


async def test_stable_names_lead_to_the_disk(sh):
    _, out, _ = await sh(r"find /dev/disk/by-id -type l -printf '%f %l\n'")
    links = dict(line.split() for line in out.splitlines())
    assert len(links) == 8
    assert set(links.values()) == {"../../sda", "../../sdb", "../../sdb1", "../../sdc"}
    name = next(name for name, target in links.items() if target == "../../sda" and name.startswith("wwn-"))
    assert await sh(f"readlink -f /dev/disk/by-id/{name}") == (0, "/dev/sda\n", "")
    assert await sh(f"blockdev --getsize64 --getss /dev/disk/by-id/{name}") == (0, "480103981056\n512\n", "")


async def test_an_image_streamed_to_a_disk_is_seen_at_once(sh):
    raw = raw_image("1.13.9")
    packed = zstandard.ZstdCompressor().compress(raw)
    command = (
        "{ zstd -dc; echo zstd $? >&2; } | { tail -c +1048577; echo tail $? >&2; } | "
        "{ dd of=/dev/sda bs=1M iflag=fullblock oflag=seek_bytes seek=1048576 conv=notrunc,fsync status=none; echo dd $? >&2; }"
    )
    status, _, err = await sh(command, stdin=packed)
    assert (status, sorted(err.split("\n"))) == (0, ["", "dd 0", "tail 0", "zstd 0"])
    assert "children" not in (await lsblk(sh))["sda"], "no partition without the first MiB"
    await sh("dd of=/dev/sda bs=1M conv=notrunc,fsync", stdin=raw[:MIB])
    rows = await lsblk(sh)
    assert [part["partlabel"] for part in rows["sda"]["children"]] == ["EFI", "BIOS", "BOOT", "META"]
    command = f"dd if=/dev/sda bs=1M iflag=skip_bytes,count_bytes skip={MIB} count={len(raw) - MIB} status=none | sha256sum"
    _, out, _ = await sh(command)
    assert out.split()[0] == hashlib.sha256(raw[MIB:]).hexdigest()
    assert (await sh("cat /dev/disk/by-partlabel/META | wc -c"))[1].strip() == str(MIB)


async def test_a_cut_off_stream_is_an_error(sh):
    packed = zstandard.ZstdCompressor().compress(random.Random(1).randbytes(MIB))
    status, _, err = await sh("zstd -dc >/dev/null", stdin=packed[: len(packed) // 2])
    assert status == 1
    assert "premature end" in err
    assert (await sh("zstd -dc", stdin=b"no zstd at all"))[0] == 1
    assert (await sh("gzip -dc", stdin=gzip.compress(b"fine")))[1] == "fine"


async def test_labels_of_file_systems_are_found(sh):
    volume = fat.build("metal-iso", {"config.yaml": b"x: 1\n"})
    await sh("dd of=/dev/sda bs=1M conv=notrunc", stdin=volume)
    _, out, _ = await sh("blkid /dev/sda; blkid -L metal-iso; blkid -o value -s TYPE /dev/sda")
    assert 'LABEL="metal-iso"' in out
    assert out.endswith("/dev/sda\nvfat\n")


async def test_wipefs_takes_every_signature_away(sh):
    status, out, _ = await sh(
        "wipefs -a /dev/sdb1 /dev/sdb && blkid /dev/sdb1 /dev/sdb; lsblk -no NAME /dev/sdb; ls /dev/sdb1"
    )
    assert "erased" in out
    assert status == 2
    assert (await sh("wipefs /dev/sdb"))[1] == ""
    rows = await lsblk(sh)
    assert rows["sdb"]["pttype"] is None
    assert "children" not in rows["sdb"]


async def test_sgdisk_moves_the_backup_to_the_end(sh):
    await sh("dd of=/dev/sda bs=1M conv=notrunc", stdin=raw_image("1.13.9"))
    assert "Identified" in (await sh("sgdisk -v /dev/sda"))[1]
    assert (await sh("sgdisk -e /dev/sda"))[0] == 0
    assert "No problems found" in (await sh("sgdisk -v /dev/sda"))[1]
    assert (await sh("sgdisk -p /dev/sdc"))[0] == 2


async def test_boot_entries_survive_and_keep_their_order(sh):
    assert (await sh("efibootmgr"))[1].splitlines()[2] == "BootOrder: 0000,0001"
    await sh("dd of=/dev/sda bs=1M conv=notrunc", stdin=raw_image("1.13.9"))
    await sh(r"efibootmgr -q -c -d /dev/sda -p 1 -L 'Talos' -l '\EFI\BOOT\BOOTX64.EFI'")
    _, out, _ = await sh("efibootmgr -v")
    assert "BootOrder: 0002,0000,0001" in out
    assert "Boot0002* Talos\tHD(1,GPT," in out
    await sh("efibootmgr -o 0000,0002; efibootmgr -n 0002")
    assert (await sh("efibootmgr"))[1].splitlines()[0] == "BootNext: 0002"
    assert sh.machine.nvram.candidates()[0].label == "Talos"
    assert sh.machine.nvram.candidates()[0].label == "Bootstrap medium", "BootNext counts once"
    assert nvram.load(sh.machine.nvram.file) == sh.machine.nvram
    assert (await sh("efibootmgr -q -b 0002 -B; efibootmgr | grep -c Talos"))[1] == "0\n"
    assert (await sh("efibootmgr -o 0007"))[0] == 8


async def test_kexec_and_mount_are_refused(sh):
    assert (await sh("kexec -l /boot/vmlinuz"))[0] != 0
    assert (await sh("mount /dev/sda1 /mnt"))[0] == 32


async def test_the_clock_can_be_wrong(sh):
    sh.machine.clock_offset = -86400.0
    _, out, _ = await sh("date -u +%s")
    assert abs(int(out) - (sh.host.now())) < 5
    await sh("date -s @1000000000")
    assert (await sh("date -u +%Y-%m-%d"))[1] == "2001-09-09\n"


async def test_a_lie_does_nothing_and_says_it_worked(sh):
    sh.machine.faults.add("lie", at="dd")
    assert (await sh("dd of=/dev/sda bs=1M", stdin=b"x" * MIB))[0] == 0
    assert sh.machine.disks["sda"].read(0, 10) == bytes(10)
    assert (await sh("dd of=/dev/sda bs=1M", stdin=b"x" * MIB))[0] == 0
    assert sh.machine.disks["sda"].read(0, 10) == b"x" * 10


async def test_everything_asked_is_remembered(sh):
    await sh("echo a | cat; nosuch")
    commands = [event["argv"] for event in sh.machine.events if event["event"] == "command"]
    assert sorted(commands) == [["cat"], ["echo", "a"]]
