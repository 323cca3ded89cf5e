"""Delivery in Talos' own STATE partition, made in advance: XFS with the configuration as its only file.

Talos takes the partition by its GPT name (acquire.go) and keeps it. The file system is made over the range
of the disk by a loop device, since no partition table is on the disk yet: that comes last, with the first
MiB, so that a power cut leaves a disk that does not boot. We have not run this on a real Talos node.
"""

import hashlib
import shlex

from controller.app.context import NodeJob
from controller.app.imaging import MIB
from inventory.errors import CheckFailed, CommandFailed
from roles.installer import CONFIG_FILE, STATE_LABEL, InstallLayout

FOLDER = "/run/cto-state"
_FILE = f"{FOLDER}/{CONFIG_FILE}"
_AGAIN = "run cto apply again: the disk has no boot sector yet, so the machine still boots from the medium"


def make_command(disk: str, offset: int, length: int) -> str:
    """Makes STATE in that range of the disk and puts standard input into its file, which only root reads."""
    work = (
        f'mkfs.xfs -q -f -L {STATE_LABEL} "$loop" && mkdir -p {FOLDER} && mount -t xfs "$loop" {FOLDER} && '
        f": >{_FILE} && chmod 600 {_FILE} && cat >{_FILE} && sync && umount {FOLDER}"
    )
    return f"{_on_loop(disk, offset, length, work)}; sync; exit $status"


def read_command(disk: str, offset: int, length: int) -> str:
    """Two lines: the file's access rights, and its SHA-256. Changes nothing on the disk."""
    work = (
        f'mkdir -p {FOLDER} && mount -t xfs -o ro,norecovery "$loop" {FOLDER} && '
        f"stat -c %a {_FILE} && sha256sum <{_FILE}"
    )
    return f"{_on_loop(disk, offset, length, work, '--read-only')}; exit $status"


def _on_loop(disk: str, offset: int, length: int, work: str, more: str = "") -> str:
    """`work` with $loop, cleaned up after it and, if an earlier attempt was cut off, before it."""
    path = shlex.quote(disk)
    undo = (
        f"umount {FOLDER} 2>/dev/null; losetup -j {path} | cut -d: -f1 | "
        f'while read -r each; do losetup -d "$each"; done; blockdev --flushbufs {path}'
    )
    options = f"--find --show {more} --offset {offset} --sizelimit {length}".replace("  ", " ")
    return f"{undo}; loop=$(losetup {options} {path}) && {work}; status=$?; {undo}"


class State:
    tools = ("losetup", "mkfs.xfs", "mount", "umount", "cut", "stat")
    drops = False
    span = 304 * MIB  # META's end, alignment, the 300 MiB volume

    async def put(self, job: NodeJob, layout: InstallLayout) -> None:
        command = make_command(job.record["disk"]["path"], layout.config_volume[0], layout.config_size)
        text = job.want().config.text.encode()
        done = await job.services.ssh.run(job.target, command, stdin=text, deadline=300)
        if done.status:
            said = done.stderr[-300:].decode(errors="replace").strip() or f"status {done.status}"
            raise CommandFailed(f"making STATE failed: {said}", where=job.node.name, fix=_AGAIN)
        if not await self.holds(job, layout):
            what = "STATE does not hold what was written to it"
            fix = "look at the disk (cto node show; SMART, cabling) and choose another one if this repeats"
            raise CheckFailed(what, where=job.node.name, fix=fix)

    async def holds(self, job: NodeJob, layout: InstallLayout) -> bool:
        command = read_command(job.record["disk"]["path"], layout.config_volume[0], layout.config_size)
        done = await job.services.ssh.run(job.target, command, deadline=120)
        wanted = hashlib.sha256(job.want().config.text.encode()).hexdigest()
        return done.status == 0 and done.stdout.split()[:2] == [b"600", wanted.encode()]

    async def while_silent(self, job: NodeJob) -> None:
        """Talos finds its configuration by itself."""
