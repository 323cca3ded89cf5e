"""Which etcd snapshots there are, and the sealed files that hold them. Takes none and judges none.

A row is written once its file is whole and in its place; a row goes before its file does. So a file without a
row is a leftover, and never the other way round.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controller.store import audit
from controller.store.secrets import SecretsChapter
from inventory.errors import OperatorError

if TYPE_CHECKING:  # opening a store need not load how files are sealed
    from controller.store.sealed_file import SealedReader, SealedWriter

SCHEDULED = "schedule"  # the reason of those that are taken by the clock


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """`size` and `sha256` are those of the snapshot itself, before it was sealed."""

    id: str
    cluster: str
    node: str  # that it was taken from
    reason: str
    taken_at: str
    size: int
    sha256: str
    keys: int
    revisions: int
    revision: int
    members: int
    verified_at: str
    problem: str = ""
    actor: str = ""  # who had it taken; empty: not written down


@dataclass(frozen=True, slots=True)
class SnapshotPolicy:
    """`every_hours` 0: none by the clock. `keep`: how many of those that were taken by the clock."""

    every_hours: int = 12
    keep: int = 14


class SnapshotsChapter(SecretsChapter):
    def snapshot_path(self, cluster: str, name: str) -> Path:
        return self.home.snapshots / cluster / f"{name}.sealed"

    def seal_snapshot(self, cluster: str, name: str) -> "SealedWriter":
        """A file in the making; `SealedWriter.finish` puts it into its place."""
        from controller.store.sealed_file import SealedWriter

        return SealedWriter(self.snapshot_path(cluster, name), self._box().key, name=f"{cluster}/{name}")

    def open_sealed(self, path: Path) -> "SealedReader":
        """Of any home, if its key is in place here."""
        from controller.store.sealed_file import SealedReader

        try:
            return SealedReader(path, self._box().key)
        except OSError as error:
            raise OperatorError(
                f"can't be read: {error.strerror}", where=str(path), fix="see `cto etcd list`"
            ) from error

    def add_snapshot(self, row: SnapshotRow, *, actor: str = "engine") -> None:
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO snapshots (id, cluster, node, reason, taken_at, size, sha256, keys, revisions,"
                " revision, members, verified_at, problem, actor)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(
                        row.id,
                        row.cluster,
                        row.node,
                        row.reason,
                        row.taken_at,
                        row.size,
                        row.sha256,
                        row.keys,
                    ),
                    *(row.revisions, row.revision, row.members, row.verified_at, row.problem, actor),
                ],
            )
            unit.execute("DELETE FROM snapshot_failures WHERE cluster = ?", [row.cluster])
            subject, about = f"cluster/{row.cluster}", {"snapshot": row.id, "sha256": row.sha256}
            text = f"etcd snapshot from {row.node} ({row.reason}): {row.keys} keys at revision {row.revision}"
            unit.event("SnapshotTaken", subject, text, about)
            unit.audit(audit.Entry(actor, "take snapshot", subject, after=row.sha256, reason=row.reason))

    def note_snapshot_failed(self, cluster: str, problem: str) -> None:
        """One that was due could not be taken. It stands until the next one that is whole."""
        good = next((row.taken_at for row in self.snapshots(cluster) if not row.problem), "")
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO snapshot_failures (cluster, since, problem, good_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (cluster) DO UPDATE SET problem = excluded.problem, good_at = excluded.good_at",
                [cluster, unit.at, problem, good],
            )
            unit.event("SnapshotFailed", f"cluster/{cluster}", f"no etcd snapshot: {problem}")

    def snapshots(self, cluster: str = "") -> tuple[SnapshotRow, ...]:
        """Newest first."""
        rows = self._rows(
            "SELECT * FROM snapshots WHERE ? IN ('', cluster) ORDER BY taken_at DESC, rowid DESC", [cluster]
        )
        return tuple(SnapshotRow(**dict(row)) for row in rows)

    def snapshot(self, name: str) -> SnapshotRow:
        """By its id, or the first digits of it."""
        found = [row for row in self.snapshots() if row.id.startswith(name)] if name else []
        if len(found) != 1:
            what = (
                f"{len(found)} snapshots begin with {name!r}" if found else f"there is no snapshot {name!r}"
            )
            raise OperatorError(what, fix="see `cto etcd list` for those that there are")
        return found[0]

    def note_verified(self, snapshot: str, problem: str) -> None:
        """It was read from its file again, and this is what is wrong with it."""
        with self._unit() as unit:
            row = unit.one("SELECT cluster, problem FROM snapshots WHERE id = ?", [snapshot])
            if row is None:
                return
            unit.execute(
                "UPDATE snapshots SET verified_at = ?, problem = ? WHERE id = ?", [unit.at, problem, snapshot]
            )
            if row["problem"] != problem:
                text = f"etcd snapshot {snapshot}: {problem or 'it is in order again'}"
                unit.event(
                    "SnapshotDamaged" if problem else "SnapshotWhole", f"cluster/{row['cluster']}", text
                )

    def note_exported(self, row: SnapshotRow, *, actor: str) -> None:
        """It was written out unsealed, which is told and audited like any secret."""
        with self._unit() as unit:
            subject = f"cluster/{row.cluster}"
            unit.event("SnapshotExported", subject, f"etcd snapshot {row.id} was exported", {"by": actor})
            unit.audit(audit.Entry(actor, "export snapshot", subject, after=row.sha256))

    def drop_snapshot(self, row: SnapshotRow, *, actor: str, reason: str) -> None:
        with self._unit() as unit:
            unit.execute("DELETE FROM snapshots WHERE id = ?", [row.id])
            subject = f"cluster/{row.cluster}"
            unit.event("SnapshotDropped", subject, f"etcd snapshot {row.id} of {row.taken_at}: {reason}")
            unit.audit(audit.Entry(actor, "drop snapshot", subject, before=row.sha256, reason=reason))
        self.snapshot_path(row.cluster, row.id).unlink(missing_ok=True)

    def declare_snapshot_policies(self, policies: Mapping[str, SnapshotPolicy]) -> None:
        """By cluster, as the site files say."""
        known = {name: self.snapshot_policy(name) for name in policies}
        changed = {name: policy for name, policy in policies.items() if known[name] != policy}
        if not changed:
            return
        with self._unit() as unit:
            for name, policy in changed.items():
                unit.execute(
                    "INSERT INTO snapshot_policies (cluster, every_hours, keep) VALUES (?, ?, ?)"
                    " ON CONFLICT (cluster) DO UPDATE"
                    " SET every_hours = excluded.every_hours, keep = excluded.keep",
                    [name, policy.every_hours, policy.keep],
                )

    def snapshot_policy(self, cluster: str) -> SnapshotPolicy:
        row = self._row("SELECT every_hours, keep FROM snapshot_policies WHERE cluster = ?", [cluster])
        return SnapshotPolicy(row["every_hours"], row["keep"]) if row else SnapshotPolicy()
