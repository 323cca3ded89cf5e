"""The machine that we run on, for a controller on that same machine: its key, its addresses, who is let in.

Only in the booted environment; anywhere else it says so. Installs nothing.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from inventory.errors import RefusedError
from inventory.openssh import parse_public_key
from iso.environment import machine

_HOST_KEY = "run/ssh/host_ed25519.pub"
_KEYS = "run/cto/authorized_keys"
_PINS = "etc/cto/images.json"
# What keeps files when the power goes, and knows whose they are.
DURABLE = ("ext4", "ext3", "xfs", "btrfs", "f2fs")


@dataclass(frozen=True, slots=True)
class Here:
    """`root` is another one in tests."""

    root: Path = Path("/")

    def host_key(self) -> str:
        """This machine's own public host key, read where sshd has it."""
        path = self.root / _HOST_KEY
        if not path.exists():
            raise RefusedError(
                "this is not a machine that was started from the image",
                where=str(path),
                fix="run this on such a machine's console (F4), or cto apply on your own computer",
            )
        return parse_public_key(path.read_text(encoding="ascii")).line

    def let_in(self, public_key: str) -> None:
        """Lets the holder of this key in by SSH until the next start."""
        path = self.root / _KEYS
        known = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        if public_key in known:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{public_key}\n")

    def pins(self) -> dict[str, str]:
        """URL → SHA-256 of what travels with the image; checked by whoever built it."""
        path = self.root / _PINS
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return found

    def addresses(self) -> tuple[str, ...]:
        links = machine.links(self.root, machine.ip_addresses())
        return tuple(address.split("/")[0] for link in links for address in link.addresses)

    def check_durable(self, folder: Path) -> None:
        """Refuses a folder whose contents end with this boot, or that cannot keep a secret from others."""
        kind = filesystem((self.root / "proc/mounts").read_text(encoding="utf-8"), folder.resolve())
        if kind not in DURABLE:
            raise RefusedError(
                f"it is on {kind or 'an unknown file system'}, which does not keep what must be kept",
                where=str(folder),
                fix=f"mount a stick with {DURABLE[0]} and name a folder on it "
                "(mkfs.ext4 deletes what is on the stick)",
            )


def filesystem(mounts: str, folder: Path) -> str:
    """The type of the file system that `folder` is on, by the longest mount point above it."""
    best = ("", "")
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = fields[1].replace("\\040", " ")
        above = folder == Path(place) or Path(place) in folder.parents
        if above and len(place) >= len(best[0]):
            best = (place, fields[2])
    return best[1]
