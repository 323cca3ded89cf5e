"""A publisher's release feed, read as TUF demands (The Update Framework specification 1.0). Decides nothing.

Metadata is fetched into a copy of what was accepted last; it takes its place only when the caller accepts
the look, so a feed that is refused afterwards leaves nothing behind. One `Updater` for one look, under a
lock: it is made for a single user.
"""

import fcntl
import hashlib
import http.client
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater, UpdaterConfig

from controller.adapters.download import fetch
from controller.adapters.feed_source import Patience, Source
from controller.adapters.images import local_path
from controller.app.feed_port import RoleState, TargetInfo
from controller.app.plain_files import file_sha256, open_plain, pieces
from inventory.errors import BusyError, FleetError, OperatorError, RefusedError, TransportError

_ROLES = ("root", "timestamp", "snapshot", "targets")
_CONFIG = UpdaterConfig(
    root_max_length=256_000, snapshot_max_length=256_000, targets_max_length=4_000_000, max_delegations=0
)
_MIRROR = "the source may be damaged, old or hostile: try the publisher's own; nothing was changed"
_WORK = "look-"  # folders of looks that are under way


class TufFeeds:
    """`folder` holds the metadata that was accepted last."""

    def __init__(self, folder: Path, patience: Patience | None = None) -> None:
        self._folder, self._patience = folder, patience or Patience()

    def root_keys(self, root: bytes) -> tuple[int, tuple[str, ...]]:
        try:
            metadata = Metadata[Root].from_bytes(root)
            metadata.signed.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
        except (tuf_errors.RepositoryError, DeserializationError, ValueError, AttributeError) as error:
            raise OperatorError(
                f"this is not root metadata that is signed by its own keys: {error}",
                fix="name the root.json that the publisher gave you",
            ) from error
        _no_key_twice(metadata.signed, "root.json")
        role = metadata.signed.roles["root"]
        return role.threshold, tuple(sorted(role.keyids))

    def forget(self) -> None:
        if self._folder.is_dir():
            with _alone(self._folder / "lock"):
                shutil.rmtree(self._folder / "metadata", ignore_errors=True)

    @contextmanager
    def look(self, url: str, root: bytes) -> Iterator["_Look"]:
        source = Source(url, self._patience)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(self._folder / "lock"):
            for left in self._folder.glob(f"{_WORK}*"):
                shutil.rmtree(left)  # by a look that was killed
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=_WORK) as folder:
                fresh, accepted = Path(folder) / "metadata", self._folder / "metadata"
                if accepted.is_dir():
                    shutil.copytree(accepted, fresh, symlinks=True)
                else:
                    fresh.mkdir()
                roles, targets = _refreshed(source, root, fresh)
                yield _Look(roles, targets, source, fresh, accepted)

    def download(self, url: str, target: TargetInfo, to: Path, progress: Callable[[int, int], None]) -> None:
        """By way of `to`.new and `to`.new.part, which a later call continues."""
        source, arriving = Source(url, self._patience), to.with_name(f"{to.name}.new")
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            if source.folder is None:
                self._fetch(source, target, arriving, progress)
            else:
                _copy(source.folder, target, arriving, progress)
            if arriving.stat().st_size != target.length or file_sha256(arriving) != target.sha256:
                raise _other_file(target, url)
        except RefusedError:
            for path in to.parent.glob(f"{arriving.name}*"):
                path.unlink()
            raise
        arriving.chmod(0o400)
        with arriving.open("rb") as file:
            os.fsync(file.fileno())
        arriving.replace(to)

    def _fetch(
        self, source: Source, target: TargetInfo, to: Path, progress: Callable[[int, int], None]
    ) -> None:
        address = f"{source.base}/targets/{quote(target.stored_as)}"
        pace = self._patience.watch(address)

        def report(done: int, _total: int) -> None:
            pace.note(done)
            progress(done, target.length)

        try:
            fetch(address, to, target.sha256, report, limit=target.length, fix=_MIRROR)
        except OperatorError as error:  # the download knows a limit, and nothing of feeds
            what = f"{target.path} is longer than it may be"
            raise RefusedError(what, where=source.url, fix=_MIRROR) from error


@dataclass(frozen=True, slots=True)
class _Look:
    roles: Mapping[str, RoleState]
    targets: Mapping[str, TargetInfo]
    source: Source
    fresh: Path
    accepted: Path

    def read(self, target: str, limit: int) -> bytes:
        url, info = self.source.url, self.targets.get(target)
        if info is None or info.length > limit:
            what = "is not in this feed" if info is None else f"is longer than {limit} bytes"
            raise RefusedError(f"{target} {what}", where=url, fix=_MIRROR)
        with _told(url):
            data: bytes = self.source.download_bytes(
                f"{self.source.base}/targets/{quote(info.stored_as)}", info.length
            )
        if len(data) != info.length or hashlib.sha256(data).hexdigest() != info.sha256:
            raise _other_file(info, url)
        return data

    def accept(self) -> None:
        """By two renames: at no time is there half of one and half of the other."""
        if self.accepted.exists():
            self.accepted.rename(self.fresh.with_name("old"))
        self.fresh.rename(self.accepted)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self.fresh / "root_history").glob("*.root.json"):
            shutil.copyfile(path, folder / path.name)
        for role in ("snapshot", "targets"):
            shutil.copyfile(self.fresh / f"{role}.json", folder / f"{self.roles[role].version}.{role}.json")
        shutil.copyfile(self.fresh / "timestamp.json", folder / "timestamp.json")


def _refreshed(
    source: Source, root: bytes, folder: Path
) -> tuple[Mapping[str, RoleState], Mapping[str, TargetInfo]]:
    with _told(source.url):
        updater = Updater(
            metadata_dir=str(folder),
            metadata_base_url=f"{source.base}/metadata/",
            fetcher=source,
            config=_CONFIG,
            bootstrap=root,
        )
        updater.refresh()
        signed = {role: Metadata[Any].from_file(str(folder / f"{role}.json")).signed for role in _ROLES}
    _no_key_twice(signed["root"], source.url)
    keys = signed["root"].roles
    states = {
        role: RoleState(each.version, each.expires, " ".join(sorted(keys[role].keyids)))
        for role, each in signed.items()
    }
    targets = {
        path: TargetInfo(path, each.length, each.hashes["sha256"])
        for path, each in signed["targets"].targets.items()
        if "sha256" in each.hashes
    }
    return states, targets


def _no_key_twice(root: Root, where: str) -> None:
    """Ids are the publisher's own words: whoever has one key under many ids would count as many people."""
    for name, role in root.roles.items():
        values = [json.dumps(root.keys[keyid].keyval, sort_keys=True) for keyid in role.keyids]
        if len(set(values)) < len(values):
            what = f"its root names one key under several ids for {name}: one signature would count twice"
            raise RefusedError(what, where=where, fix="tell its publisher; nothing was changed")


@contextmanager
def _told(url: str) -> Iterator[None]:
    """TUF's refusals in our words. The library names the file in its message."""
    try:
        yield
    except tuf_errors.ExpiredMetadataError as error:
        raise RefusedError(
            f"the feed is stale ({error}): somebody may keep newer releases from you",
            where=url,
            fix="ask the publisher for fresh metadata; a bundle of metadata alone is small",
        ) from error
    except tuf_errors.BadVersionNumberError as error:
        what = f"the feed is older than what was accepted already ({error})"
        raise RefusedError(what, where=url, fix=_MIRROR) from error
    except tuf_errors.UnsignedMetadataError as error:
        what = f"too few of the keys that are trusted have signed it ({error})"
        raise RefusedError(what, where=url, fix=_MIRROR) from error
    except tuf_errors.LengthOrHashMismatchError as error:
        what = f"its parts do not belong together ({error})"
        raise RefusedError(what, where=url, fix=_MIRROR) from error
    except tuf_errors.DownloadLengthMismatchError as error:
        what = f"it sends more than may come ({error})"
        raise RefusedError(what, where=url, fix=_MIRROR) from error
    except (tuf_errors.DownloadError, http.client.HTTPException, OSError) as error:
        raise _not_fetched(url, error) from error
    except (tuf_errors.RepositoryError, DeserializationError, ValueError) as error:
        raise RefusedError(f"its metadata can't be used ({error})", where=url, fix=_MIRROR) from error


def _not_fetched(url: str, error: Exception) -> FleetError:
    if isinstance(error.__cause__, FleetError):
        return error.__cause__
    if local_path(url) is not None:
        return RefusedError(f"it is not whole: {error}", where=url, fix=_MIRROR)
    fix = "check the address, the network and the proxy; nothing was changed"
    return TransportError(f"the feed can't be read: {error}", where=url, fix=fix)


def _copy(folder: Path, target: TargetInfo, to: Path, progress: Callable[[int, int], None]) -> None:
    name, part = f"targets/{target.stored_as}", to.with_name(f"{to.name}.part")
    try:
        file = open_plain(folder, name)
    except FileNotFoundError as error:
        raise RefusedError(f"{name} is not there", where=str(folder), fix=_MIRROR) from error
    with file, part.open("ab") as kept:
        if kept.tell() > target.length:
            kept.truncate(0)
        done = file.seek(kept.tell())
        for piece in pieces(file):
            done += len(piece)
            if done > target.length:
                raise RefusedError(f"{name} is longer than it may be", where=str(folder), fix=_MIRROR)
            kept.write(piece)
            progress(done, target.length)
    part.replace(to)


def _other_file(target: TargetInfo, url: str) -> RefusedError:
    what = f"{target.path} is not the file that the signed metadata names"
    return RefusedError(what, where=url, fix=_MIRROR)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "another command reads the release feed just now", fix="run it again later"
            ) from error
        yield
