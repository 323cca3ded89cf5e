"""`$CTO_HOME`: where everything of one controller lives, and how private files are written.

This is the only module that builds paths below the home. It does not open the store, read the key or
take the lock.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inventory.errors import OperatorError, StoreError

PRIVATE_DIR, PRIVATE_FILE = 0o700, 0o600
BALLAST_BYTES = 32 * 1024 * 1024  # room to record the end of a step that is under way when the disk fills up


@dataclass(frozen=True, slots=True)
class Home:
    root: Path

    @classmethod
    def locate(cls, path: Path | None = None, *, environ: Mapping[str, str] | None = None) -> "Home":
        """`path`, else $CTO_HOME, else the platform's data directory. Creates nothing."""
        chosen = str(path) if path else (os.environ if environ is None else environ).get("CTO_HOME", "")
        if not chosen:
            import platformdirs

            chosen = platformdirs.user_data_dir("cto", appauthor=False)
        return cls(Path(chosen).expanduser().absolute())

    def create(self) -> "Home":
        """Makes the home (0700). Refuses one that others may write to or that another user owns."""
        private_dir(self.root)
        status = self.root.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise OperatorError(
                "this directory belongs to, or can be written by, somebody else",
                where=str(self.root),
                fix=f"run `chmod 700 {self.root}` as its owner, or choose another one with CTO_HOME",
            )
        return self

    @property
    def database(self) -> Path:
        return self.root / "fleet.db"

    @property
    def key(self) -> Path:
        """The key that seals secrets. Never inside a backup."""
        return self.root / "key"

    @property
    def engine_lock(self) -> Path:
        return self.root / "engine.lock"

    @property
    def enroll_lock(self) -> Path:
        return self.root / "enroll.lock"

    @property
    def ballast(self) -> Path:
        return self.root / "ballast"

    @property
    def ssh(self) -> Path:
        return self.root / "ssh"

    @property
    def ssh_key(self) -> Path:
        """The controller's own SSH key, used for the bootstrap environment."""
        return self.ssh / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Keys of jump hosts."""
        return self.root / "known_hosts"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def updates(self) -> Path:
        """The release feed: metadata that was accepted, files that lie ready."""
        return self.root / "updates"

    def staged(self, sha256: str) -> Path:
        """A file of a release, by its content: no name from a feed or bundle ever becomes a path."""
        return self.updates / "files" / sha256[:2] / sha256

    @property
    def manifests(self) -> Path:
        """Manifest files of Cilium and Argo CD that were fetched."""
        return self.root / "manifests"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def web(self) -> Path:
        """The certificate that the pages are served with, where none was given."""
        return self.root / "web"

    @property
    def lab(self) -> Path:
        return self.root / "lab"

    @property
    def snapshots(self) -> Path:
        """Sealed etcd snapshots, a folder for each cluster."""
        return self.root / "snapshots"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def replaced(self) -> Path:
        """Stores that a restore put aside."""
        return self.root / "replaced"

    def access(self, cluster: str) -> Path:
        """Where the kubeconfig and talosconfig of `cluster` are written."""
        return self.root / "clusters" / cluster

    def has_ballast(self) -> bool:
        return self.ballast.exists()

    def reserve_ballast(self, size: int = BALLAST_BYTES) -> None:
        """Takes `size` bytes of the disk now, for `release_ballast` to give back when it is full."""
        if self.has_ballast():
            return
        descriptor = os.open(self.ballast, os.O_CREAT | os.O_WRONLY, PRIVATE_FILE)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            self.ballast.unlink()
            raise StoreError(
                f"there is no room for new steps: {size // 2**20} MiB can't be reserved ({error.strerror})",
                where=str(self.root),
                fix="free some disk space, then run the command again",
            ) from error
        finally:
            os.close(descriptor)

    def release_ballast(self) -> bool:
        """Gives the reserved space back. False if there was none."""
        had = self.has_ballast()
        self.ballast.unlink(missing_ok=True)
        return had


def private_dir(path: Path) -> Path:
    """`path` as a directory that only its owner can enter, with missing parents made the same way."""
    if not path.exists():
        if path.parent != path:
            private_dir(path.parent)
        path.mkdir(mode=PRIVATE_DIR, exist_ok=True)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Writes a 0600 file so that readers see the old one or the whole new one, also after a power cut."""
    private_dir(path.parent)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    """Makes renames and new names in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
