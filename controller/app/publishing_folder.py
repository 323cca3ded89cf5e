"""A release feed as a folder: `metadata/` and `targets/`, laid out as TUF's consistent snapshots are.

Holds no key and decides no date: it reads what is newest and writes what it is handed, each file whole.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.app.feed_port import TargetInfo
from controller.core.release import document
from controller.core.release.document import Release
from inventory.errors import OperatorError

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FeedFolder:
    path: Path

    @property
    def draft(self) -> Path:
        """A root that waits for signatures. No client looks here."""
        return self.path / "root.draft.json"

    def create(self) -> None:
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise OperatorError(
                "there is something at this place already", where=str(self.path), fix="name a new folder"
            )
        (self.path / "metadata").mkdir(parents=True)
        (self.path / "targets").mkdir()

    def newest(self, role: str) -> "Metadata[Any]":
        name = "timestamp.json" if role == "timestamp" else f"*.{role}.json"
        found = list((self.path / "metadata").glob(name))
        if not found:
            raise OperatorError(
                "this is no release feed",
                where=str(self.path),
                fix="make one: cto vendor release init FOLDER --keys KEYS",
            )
        return self.load(max(found, key=lambda path: (len(path.name), path.name)))

    def load(self, path: Path) -> "Metadata[Any]":
        from tuf.api.exceptions import RepositoryError
        from tuf.api.metadata import Metadata

        try:
            return Metadata[Any].from_file(str(path))
        except (OSError, RepositoryError) as error:
            fix = "bring the folder back from a copy"
            raise OperatorError(f"can't be read ({error})", where=str(path), fix=fix) from error

    def write(self, metadata: "Metadata[Any]", signers: Iterable[Any]) -> Path:
        """Signed, under its version; the timestamp under its plain name: that is where clients begin."""
        metadata.signatures.clear()
        for signer in signers:
            metadata.sign(signer, append=True)
        role, version = metadata.signed.type, metadata.signed.version
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        return self.replace(self.path / "metadata" / name, metadata.to_bytes())

    def replace(self, path: Path, data: bytes) -> Path:
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(data)
        return temporary.replace(path)

    def put(self, targets: "Metadata[Any]", name: str, read: Callable[[int], bytes]) -> None:
        """Copied and hashed in one go, so what is signed is what lies there."""
        from tuf.api.metadata import TargetFile

        temporary = self.path / "targets" / f".{secrets.token_hex(8)}"
        digest, length = hashlib.sha256(), 0
        try:
            with temporary.open("wb") as file:
                while piece := read(_CHUNK):
                    digest.update(piece)
                    length += len(piece)
                    file.write(piece)
            info = TargetInfo(name, length, digest.hexdigest())
            path = self.path / "targets" / info.stored_as
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        targets.signed.targets[name] = TargetFile(length, {"sha256": info.sha256}, name)

    def releases(self, targets: "Metadata[Any]", channel: str) -> list[Release]:
        found = []
        for path, info in targets.signed.targets.items():
            if document.channel_of(path) == channel:
                stored = (
                    self.path / "targets" / TargetInfo(path, info.length, info.hashes["sha256"]).stored_as
                )
                found.append(document.parse(stored.read_bytes(), path))
        return found
