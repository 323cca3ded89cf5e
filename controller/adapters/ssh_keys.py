"""Keys: the controller's own SSH key pair, and host keys as text. Opens no connection.

Only three families of host key can be pinned; a line of any other kind is refused before anything is dialled.
"""

import os
import stat
import tempfile
from pathlib import Path

from controller.adapters.ssh_library import asyncssh
from inventory.errors import OperatorError

PINNABLE = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


def ensure_key(path: Path) -> str:
    """The public line of the Ed25519 key at `path`; the key is made (mode 0600) if there is none.

    Two programs that call this at the same time end up with the same key: the first file to appear wins.
    """
    if not path.exists():
        _create(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise OperatorError(
            f"the controller's SSH key can be read by others (mode {mode:04o})",
            where=str(path),
            fix=f"chmod 600 {path}, and replace the key if others may have copied it",
        )
    return public_line(read_key(path))


def new_key(comment: str) -> tuple[bytes, str]:
    """A fresh Ed25519 key for somebody else: the private half in OpenSSH format, and the public line."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    return key.export_private_key("openssh"), public_line(key)


def read_key(path: Path) -> asyncssh.SSHKey:
    """The private key at `path`."""
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        raise OperatorError(
            f"the controller's SSH key can't be read: {error}",
            where=str(path),
            fix="restore it from a backup, or move it away: a new one is made, and machines must be told",
        ) from error


def public_line(key: asyncssh.SSHKey) -> str:
    """`ssh-ed25519 AAAA…` without a comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def pinned(line: str, *, where: str) -> asyncssh.SSHKey:
    """The host key of an OpenSSH public key line. Refuses kinds that we do not pin."""
    fix = "pin the machine's key: cto node add NAME --address A --host-key 'ssh-ed25519 AAAA…'"
    kind = line.split(" ", 1)[0]
    if kind not in PINNABLE:
        what = f"{kind!r} is no kind of host key that can be pinned" if line else "no host key is pinned"
        raise OperatorError(what, where=where, fix=fix)
    try:
        return asyncssh.import_public_key(line)
    except asyncssh.KeyImportError as error:
        raise OperatorError(f"the pinned host key is damaged: {error}", where=where, fix=fix) from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = asyncssh.generate_private_key("ssh-ed25519", comment="platform-in-a-box")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key("openssh"))
            file.flush()
            os.fsync(file.fileno())
        Path(path).hardlink_to(temporary)
    except FileExistsError:
        return  # another program was first: its key counts
    finally:
        Path(temporary).unlink(missing_ok=True)
