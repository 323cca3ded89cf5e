"""etcd snapshots: taken from a member that is well, sealed while they come in, read again, kept for a while.

No byte of a snapshot is written to a disk of this computer unsealed: it holds every secret of a cluster.
Starts and repairs nothing; bringing a cluster back from one is `app.recovery`'s matter.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from controller.app.context import Limits, NodeJob
from controller.app.ports import TalosNode
from controller.app.services import Services
from controller.app.stored import stored_jobs
from controller.core.bolt import Read
from controller.core.etcd_snapshot import Contents, TrailingSum, inspect
from controller.store import ClusterRow
from controller.store.base import iso
from controller.store.snapshots import SCHEDULED, SnapshotPolicy, SnapshotRow
from inventory.errors import CheckFailed, FleetError, NodeError, OperatorError, RefusedError, StoreError
from inventory.fleet import Fleet
from inventory.lifecycle import NodeState

MAX_BYTES = 8 << 30  # etcd's own largest recommended database
FRESH = timedelta(minutes=10)  # old enough to matter: a snapshot before a risky step is younger
KEEP_OTHERS = timedelta(days=30)  # those that were not taken by the clock
EVERY = 60.0  # seconds between two looks at what is due
_AGAIN = timedelta(minutes=15)  # after one that failed
_LEFTOVER = timedelta(days=1)
_LIVE = (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)


async def take(services: Services, cluster: str, reason: str, *, actor: str = "engine") -> SnapshotRow:
    """A snapshot that was read back from its sealed file and found whole. Raises if nobody gives one."""
    failed: list[str] = []
    for job in _planes(services, cluster):
        try:
            taken = replace(await _from_node(services, job, reason), actor=actor)
        except NodeError as error:
            failed.append(f"{job.node.name}: {error.what}")
        else:
            services.store.add_snapshot(taken, actor=actor)
            return taken
    raise CheckFailed(
        f"no control plane gave an etcd snapshot: {'; '.join(failed)}",
        where=cluster,
        fix="see cto cluster show; etcd gives none without a quorum",
    )


async def fresh(services: Services, cluster: str, reason: str) -> SnapshotRow:
    """The newest one if it is young enough and still whole in its file, else a new one."""
    newest = next(iter(services.store.snapshots(cluster)), None)
    age = services.clock.now() - datetime.fromisoformat(newest.taken_at) if newest else None
    if newest and age is not None and age <= FRESH and not await verify_row(services, newest):
        return newest
    return await take(services, cluster, reason)


def _planes(services: Services, cluster: str) -> list[NodeJob]:
    row = services.store.cluster(cluster)
    if row is None:
        known = ", ".join(each.name for each in services.store.clusters()) or "none yet"
        raise OperatorError(f"no cluster {cluster!r} is known here", fix=f"known: {known}")
    jobs = stored_jobs(services, row, Limits.default())
    planes = [job for job in jobs if job.node.role != "worker" and job.state in _LIVE]
    if not planes:
        raise RefusedError(
            "it has no control plane that could give a snapshot", where=cluster, fix="run cto apply first"
        )
    return planes


async def _from_node(services: Services, job: NodeJob, reason: str) -> SnapshotRow:
    cluster, name, at = job.cluster.name, services.new_id(), iso(services.clock.now())
    async with job.talos() as node:
        await _refuse_ill(node, job.node.name)
        await _receive(services, node, job, name)
    path = services.store.snapshot_path(cluster, name)
    try:
        with open_snapshot(services, path) as opened:
            found = await asyncio.to_thread(opened.inspect)
    except FleetError:
        path.unlink(missing_ok=True)
        raise
    return SnapshotRow(
        id=name,
        cluster=cluster,
        node=job.node.name,
        reason=reason,
        taken_at=at,
        size=found.size,
        sha256=found.sha256,
        keys=found.keys,
        revisions=found.revisions,
        revision=found.revision,
        members=found.members,
        verified_at=at,
    )


async def _refuse_ill(node: TalosNode, name: str) -> None:
    """A member that is cut off still gives what it has, which may be old."""
    status = await node.etcd_status()
    if status.is_learner or status.errors or not status.leader:
        what = "; ".join(status.errors) or ("it still joins etcd" if status.is_learner else "no leader")
        raise CheckFailed(f"its etcd is not well ({what})", where=name, fix="see cto cluster show")


async def _receive(services: Services, node: TalosNode, job: NodeJob, name: str) -> None:
    total, where = TrailingSum(), job.node.name
    with services.store.seal_snapshot(job.cluster.name, name) as sealed:
        async with aclosing(node.etcd_snapshot_parts()) as parts:
            async for part in parts:
                total.add(part)
                if total.size > MAX_BYTES:
                    what = f"its etcd snapshot is larger than {MAX_BYTES >> 30} GiB"
                    raise NodeError(what, where=where, fix="compact and defragment etcd first")
                await asyncio.to_thread(sealed.write, part)
        if total.problem:
            raise CheckFailed(f"its etcd snapshot: {total.problem}", where=where, fix="take it again")
        await asyncio.to_thread(sealed.finish)


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that can be read at any place, whether it was sealed or not."""

    name: str
    read: Read
    size: int

    def inspect(self) -> Contents:
        return inspect(self.read, self.size, where=self.name)

    async def parts(self, step: int = 1 << 16) -> AsyncIterator[bytes]:
        """From its beginning to its end, without holding up the loop."""
        for offset in range(0, self.size, step):
            yield await asyncio.to_thread(self.read, offset, min(step, self.size - offset))


@contextmanager
def open_snapshot(services: Services, path: Path) -> Iterator[Opened]:
    """A sealed file, or one that etcd's own tools wrote. The caller keeps to one thread at a time."""
    from controller.store.sealed_file import is_sealed

    try:
        sealed = is_sealed(path)
    except OSError as error:
        what = f"can't be read: {error.strerror or error}"
        raise OperatorError(
            what, where=str(path), fix="see `cto etcd list` for the snapshots here"
        ) from error
    if sealed:
        with services.store.open_sealed(path) as reader:
            yield Opened(path.name, reader.read, reader.size)
    else:
        with path.open("rb") as file:
            yield Opened(path.name, partial(_read_plain, file), os.fstat(file.fileno()).st_size)


def _read_plain(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def find(services: Services, named: str) -> tuple[Path, SnapshotRow | None]:
    """By id, or as the path of a file."""
    path = Path(named)
    if path.is_file():
        return path, next((r for r in services.store.snapshots() if path.name == f"{r.id}.sealed"), None)
    row = services.store.snapshot(named)
    return services.store.snapshot_path(row.cluster, row.id), row


async def verify_row(services: Services, row: SnapshotRow) -> str:
    """Reads it from its file again. What is wrong with it; empty if nothing is. Noted in the store."""
    path = services.store.snapshot_path(row.cluster, row.id)
    try:
        with open_snapshot(services, path) as opened:
            found = await asyncio.to_thread(opened.inspect)
        problem = "" if found.sha256 == row.sha256 else "the file is not the one that was taken"
    except FleetError as error:
        problem = error.what
    services.store.note_verified(row.id, problem)
    return problem


async def export(services: Services, row: SnapshotRow, out: Path, *, actor: str) -> None:
    """Unsealed, into a new 0600 file, for etcd's own tools. Whoever has it has the cluster's secrets."""
    with open_snapshot(services, services.store.snapshot_path(row.cluster, row.id)) as opened:
        found = await asyncio.to_thread(opened.inspect)
        if found.sha256 != row.sha256:
            raise StoreError("it is not the one that was taken", where=row.id, fix="use another one")
        try:
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                async for part in opened.parts():
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            fix = "name another, or remove it first"
            raise OperatorError("there is such a file already", where=str(out), fix=fix) from None
        except OSError as error:
            what = f"can't be written: {error.strerror}"
            raise OperatorError(what, where=str(out), fix="name another place") from error
    services.store.note_exported(row, actor=actor)


def prune(services: Services, cluster: str, *, actor: str = "engine") -> int:
    """Drops those that are too many or too old. The newest that is whole always stays."""
    policy, rows = services.store.snapshot_policy(cluster), services.store.snapshots(cluster)
    newest = next((row.id for row in rows if not row.problem), "")
    scheduled = [row for row in rows if row.reason == SCHEDULED]
    end = iso(services.clock.now() - KEEP_OTHERS)
    old = [row for row in rows if row.reason != SCHEDULED and row.taken_at < end]
    gone = [row for row in (*scheduled[policy.keep :], *old) if row.id != newest]
    for row in gone:
        services.store.drop_snapshot(row, actor=actor, reason="retention")
    _sweep(services, cluster, {row.id for row in rows})
    return len(gone)


def _sweep(services: Services, cluster: str, known: Collection[str]) -> None:
    """Files of an engine that died before it wrote their rows. Younger ones may be in the making."""
    end = (services.clock.now() - _LEFTOVER).timestamp()
    for path in services.store.snapshot_path(cluster, "x").parent.glob("*"):
        if path.name.removesuffix(".sealed") not in known and path.stat().st_mtime < end:
            path.unlink(missing_ok=True)


def due(services: Services, row: ClusterRow) -> bool:
    """Is it time for the next one by the clock? Any that is whole counts, whatever it was taken for."""
    policy = services.store.snapshot_policy(row.name)
    if not policy.every_hours or not row.in_use:
        return False
    whole = (r for r in services.store.snapshots(row.name) if not r.problem)
    newest = next(whole, None)
    if newest is None:
        return True
    age = services.clock.now() - datetime.fromisoformat(newest.taken_at)
    return age >= timedelta(hours=policy.every_hours)


async def keep_snapshots(services: Services, *, every: float = EVERY) -> None:
    """For ever: those that are due, one cluster after the other. What fails is told and tried again."""
    failed: dict[str, datetime] = {}
    while True:
        for row in services.store.clusters():
            await _tick(services, row, failed)
        await services.clock.sleep(every)


async def _tick(services: Services, row: ClusterRow, failed: dict[str, datetime]) -> None:
    now = services.clock.now()
    if row.name in failed and now - failed[row.name] < _AGAIN:
        return
    try:
        if due(services, row):
            await take(services, row.name, SCHEDULED)
            prune(services, row.name)
        failed.pop(row.name, None)
    except FleetError as error:
        failed[row.name] = now
        services.store.note_snapshot_failed(row.name, error.what)


def policies_of(fleet: Fleet) -> dict[str, SnapshotPolicy]:
    """What the site files say, by cluster."""
    default = SnapshotPolicy()
    found = {}
    for name, cluster in fleet.clusters.items():
        said = cluster.settings.get("etcdSnapshots") or {}
        found[name] = SnapshotPolicy(
            int(said.get("everyHours", default.every_hours)), int(said.get("keep", default.keep))
        )
    return found
