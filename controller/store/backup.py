"""Backups of the store: a whole copy with a manifest beside it, checked before it is trusted again.

The seal key is never in a backup. Secrets are in it sealed; names, addresses and facts are in clear.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.store import audit, migrations
from controller.store.base import Unit, iso
from controller.store.connection import (
    check,
    copy_whole,
    corrupt,
    reader,
    transaction,
    translated,
    writer,
)
from controller.store.enrollments import close as close_enrollment
from controller.store.home import Home, private_dir, sync_dir, write_private
from controller.store.lock import EngineLock
from controller.store.secretbox import SealKey, SecretBox
from controller.store.sessions import forget_people
from controller.store.tokens import revoke_all
from inventory.errors import RefusedError, StoreError
from inventory.lifecycle import NodeState
from inventory.wording import count

FORMAT = "cto-backup/1"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is. Its audit head, kept elsewhere, also shows whether the chain was cut off later."""

    format: str
    sha256: str
    bytes: int
    made_at: str
    controller_id: str
    epoch: int
    key_id: str
    migrations: tuple[str, ...]
    audit_seq: int
    audit_hash: str


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    replaced: str  # where the former store was put; empty if there was none
    epoch: int
    unread: tuple[str, ...]  # nodes to be read before anything is changed


def manifest_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def make(connection: sqlite3.Connection, path: Path, *, at: str) -> Manifest:
    """Copies the live store to `path` while others may write, then checks the copy."""
    if path.exists() or manifest_path(path).exists():
        raise RefusedError(
            "there is a file already", where=str(path), fix="choose another name for the backup"
        )
    private_dir(path.parent)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    copy_whole(connection, partial)
    copy = reader(partial)
    try:
        check(copy, partial)
        meta = copy.execute("SELECT controller_id, epoch, key_id FROM meta").fetchone()
        listed, head = migrations.applied(copy), audit.head(copy)
    finally:
        copy.close()
    manifest = Manifest(
        format=FORMAT,
        sha256=sha256(partial),
        bytes=partial.stat().st_size,
        made_at=at,
        controller_id=meta["controller_id"],
        epoch=meta["epoch"],
        key_id=meta["key_id"],
        migrations=listed,
        audit_seq=head.seq,
        audit_hash=head.hash,
    )
    partial.rename(path)
    # The manifest comes last: a backup without one is not a backup.
    write_private(manifest_path(path), (json.dumps(asdict(manifest), indent=2) + "\n").encode())
    return manifest


def restore(
    path: Path,
    home: Home,
    *,
    now: Callable[[], datetime],
    key: SealKey | None = None,
    actor: str = "operator",
) -> Restored:
    """Replaces the store by the backup at `path`, to observe only until every node was read.

    Everything that can be wrong with the backup or the key is found before anything is changed. `key` is for
    a home that has none: it becomes its key file. The replaced store is kept aside.
    """
    manifest = inspect(path, key or SealKey.load(home))
    with EngineLock.acquire(home):
        if key is not None and home.key.exists() and not SealKey.load(home).same(key):
            raise RefusedError(
                "this home has another key", where=str(home.key), fix="move that file away first"
            )
        at = iso(now())
        fresh = home.database.with_name("fleet.db.restoring")
        fresh.unlink(missing_ok=True)
        write_private(fresh, b"")  # private before it holds anything
        shutil.copyfile(path, fresh)
        if sha256(fresh) != manifest.sha256:
            raise corrupt(path, "it changed while it was read")
        epoch, unread = _prepare(fresh, home, at=at, actor=actor, former_epoch=_epoch_of(home.database))
        replaced = _put_aside(home, stamp=_stamp(at))
        if key is not None and not home.key.exists():
            key.save(home)
        fresh.replace(home.database)
        sync_dir(home.root)
    return Restored(manifest, str(replaced or ""), epoch, unread)


def inspect(path: Path, key: SealKey) -> Manifest:
    """Raises StoreError unless the backup is whole, of a known version, and opens with `key`."""
    manifest = read_manifest(path)
    if not path.exists() or sha256(path) != manifest.sha256:
        raise corrupt(path, "its SHA-256 is not the one in its manifest")
    if manifest.key_id != key.id:
        raise StoreError(
            f"this backup was sealed with key {manifest.key_id}, not with {key.id}",
            where=str(path),
            fix="put the key that `cto key export` printed for it in place first; nothing was changed",
        )
    # Immutable: a backup may lie on a read-only medium, and must not get a journal beside it.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        check(connection, path)
        migrations.refuse_newer(migrations.applied(connection), path)
        box = SecretBox(key)
        for row in connection.execute("SELECT name, sealed FROM secrets"):
            box.open(row["sealed"], table="secrets", pk=row["name"], column="sealed")
        report = audit.verify(connection, anchor=audit.AuditHead(manifest.audit_seq, manifest.audit_hash))
        if not report.ok:
            raise corrupt(path, f"audit chain: {report.why}")
    finally:
        connection.close()
    return manifest


def read_manifest(path: Path) -> Manifest:
    where = manifest_path(path)
    try:
        values: dict[str, Any] = json.loads(where.read_text(encoding="utf-8"))
        manifest = Manifest(**{**values, "migrations": tuple(values["migrations"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "the backup has no readable manifest",
            where=str(where),
            fix="give the file that `cto store backup` wrote, with its .json file beside it",
        ) from error
    if manifest.format != FORMAT:
        raise StoreError(
            f"unknown backup format {manifest.format!r}", where=str(where), fix="use a newer cto"
        )
    return manifest


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prepare(
    fresh: Path, home: Home, *, at: str, actor: str, former_epoch: int | None
) -> tuple[int, tuple[str, ...]]:
    """Brings the copy to this program's schema and marks what has to be read again."""
    connection = writer(fresh)
    try:
        migrations.migrate(connection, fresh, backups=home.backups, stamp=_stamp(at))
        with transaction(connection, fresh):
            epoch = connection.execute("SELECT epoch FROM meta").fetchone()["epoch"]
            # An epoch that was in use must not come again; if it can't be known, jump far.
            epoch = max(epoch, former_epoch) + 1 if former_epoch is not None else epoch + 1000
            rows = connection.execute(
                "UPDATE nodes SET unread = 1 WHERE state NOT IN (?, ?) RETURNING name",
                [NodeState.DECLARED, NodeState.RESET],
            ).fetchall()
            unread = tuple(sorted(row["name"] for row in rows))
            connection.execute(
                "UPDATE meta SET epoch = ?, observe_only = ?, engine_pid = 0, engine_since = ''",
                [epoch, bool(unread)],
            )
            unit = Unit(connection, at, epoch)
            left = count(len(unread), "node")
            unit.event("StoreRestored", "controller", f"store restored; {left} to be read first")
            unit.audit(audit.Entry(actor, "restore", "store", after=f"epoch {epoch}"))
            revoke_all(unit, actor=actor)  # what was used or revoked since the backup, it does not know
            close_enrollment(unit, actor=actor, reason="store restored")
            forget_people(unit, actor=actor)
        connection.execute(
            "PRAGMA journal_mode = DELETE"
        )  # the file alone is whole, so that a rename moves all of it
    finally:
        connection.close()
    return epoch, unread


def _epoch_of(database: Path) -> int | None:
    """The epoch of the store to be replaced; None if it can't be read. A missing store had none."""
    if not database.exists():
        return None
    try:
        connection = reader(database)
        try:
            return int(connection.execute("SELECT epoch FROM meta").fetchone()["epoch"])
        finally:
            connection.close()
    except (sqlite3.DatabaseError, TypeError):
        return None


def _put_aside(home: Home, *, stamp: str) -> Path | None:
    """Copies the store with its journal away, then drops the journal: it must not meet the new file."""
    database, wal, shm = (home.database.with_name(home.database.name + end) for end in ("", "-wal", "-shm"))
    aside = home.replaced / stamp
    if not database.exists():
        return None
    for file in (database, wal):
        if file.exists():
            write_private(aside / file.name, b"")
            shutil.copyfile(file, aside / file.name)
    sync_dir(aside)
    with suppress(StoreError):  # a damaged store has no journal worth keeping in place
        _checkpoint(database)
    wal.unlink(missing_ok=True)
    shm.unlink(missing_ok=True)
    return aside


def _checkpoint(database: Path) -> None:
    """So that a crash before the new file is in place leaves the former store whole."""
    with translated(database):
        connection = writer(database)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()


def _stamp(at: str) -> str:
    return at.replace(":", "").replace("-", "").replace(".", "")
