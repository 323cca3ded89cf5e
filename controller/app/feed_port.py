"""What the use cases need of a release feed. The adapter speaks TUF; here is what came of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RoleState:
    """One of root, timestamp, snapshot, targets, as it is now. `keys`: ids, sorted, joined by a blank."""

    version: int
    expires: datetime
    keys: str


@dataclass(frozen=True, slots=True)
class TargetInfo:
    path: str
    length: int  # bytes
    sha256: str

    @property
    def stored_as(self) -> str:
        """Consistent snapshots: the hash is put before the file's name (TUF specification, section 6.2)."""
        folder, slash, name = self.path.rpartition("/")
        return f"{folder}{slash}{self.sha256}.{name}"


class Look(Protocol):
    """A verified look at a feed that was not accepted yet. Good until it is closed."""

    @property
    def roles(self) -> Mapping[str, RoleState]: ...
    @property
    def targets(self) -> Mapping[str, TargetInfo]: ...
    def read(self, target: str, limit: int) -> bytes:
        """A small target, held to its length and hash. Raises RefusedError."""
        ...

    def accept(self) -> None:
        """From now on older metadata than this is refused."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the metadata there, as a feed has it: for somebody who can't reach this one."""
        ...


class Feeds(Protocol):
    def root_keys(self, root: bytes) -> tuple[int, tuple[str, ...]]:
        """(threshold, key ids) of root metadata that is signed by itself; raises OperatorError."""
        ...

    def forget(self) -> None:
        """The metadata that was accepted: another publisher's feed begins anew."""
        ...

    def look(self, url: str, root: bytes) -> AbstractContextManager[Look]:
        """Fetches and verifies the feed's metadata. `url`: https://, http://, file:// or a folder. Raises
        RefusedError for what a TUF client must refuse, TransportError for what did not come.
        """
        ...

    def download(self, url: str, target: TargetInfo, to: Path, progress: Callable[[int, int], None]) -> None:
        """A large target, resumed if part of it is there. `to` appears whole and right, or not at all. Raises
        as `look`.
        """
        ...
