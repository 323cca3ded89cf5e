"""`cto etcd`: snapshots of a cluster's etcd. They are kept sealed; `export` is the only way out."""

from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Noun, complete_clusters, pass_app
from controller.cli.base import command as verb
from controller.cli.loop import on_loop
from controller.cli.output import document, human_bytes, plain, table
from controller.cli.text import clean
from inventory.errors import CheckFailed
from web import present

LIMITS = (
    "This proves that the bytes are those that etcd sent and that each page in use is in order. It does not "
    "prove that an etcd starts with them: only a restore does (etcdutl snapshot restore, in a scratch place)."
)


@verb("snapshot", example="cto etcd snapshot berlin --reason 'before the move'")
@click.argument("cluster", shell_complete=complete_clusters)
@click.option("--reason", default="by hand", show_default=True, help="Kept with it.")
@pass_app
def snapshot(app: App, cluster: str, reason: str) -> None:
    """Take a snapshot from a control plane that is well, seal it, and read it back."""
    from controller.app.snapshots import take

    with app.services() as services:
        row = on_loop(services, lambda: take(services, cluster, reason, actor=app.actor()))
        path = services.store.snapshot_path(row.cluster, row.id)
    if app.json:
        document(plain(row) | {"path": str(path)})
        return
    click.echo(f"{row.id}  {human_bytes(row.size)} from {clean(row.node)}: {_held(row)}")
    click.echo(f"  sealed in {path}")


@verb("list", example="cto etcd list berlin")
@click.argument("cluster", required=False, default="", shell_complete=complete_clusters)
@pass_app
def list_(app: App, cluster: str) -> None:
    """The snapshots that are kept, newest first."""
    now = app.now()
    with app.services() as services:
        rows = services.store.snapshots(cluster)
    if app.json:
        document([plain(row) for row in rows])
        return
    if not rows:
        click.echo("no snapshots yet: cto etcd snapshot CLUSTER")
        return
    table(
        ("SNAPSHOT", "CLUSTER", "TAKEN", "FROM", "WHY", "SIZE", "HOLDS", "READ"),
        [
            (
                row.id,
                row.cluster,
                present.age(row.taken_at, now),
                row.node,
                row.reason,
                human_bytes(row.size),
                _held(row),
                (row.problem, "bad") if row.problem else f"whole, {present.age(row.verified_at, now)}",
            )
            for row in rows
        ],
    )


@verb("verify", example="cto etcd verify 3f9c\ncto etcd verify ./db.snapshot")
@click.argument("snapshot", metavar="ID|FILE")
@pass_app
def verify(app: App, snapshot: str) -> None:
    """Read a snapshot again: its seal, its checksum, and every page in use. Says what this does not prove."""
    from controller.app.snapshots import find, open_snapshot, verify_row

    with app.services() as services:
        path, row = find(services, snapshot)
        if row is not None:
            problem = on_loop(services, lambda: verify_row(services, row))
            if problem:
                raise CheckFailed(problem, where=row.id, fix="use another one: cto etcd list")
        with open_snapshot(services, path) as opened:
            found = opened.inspect()
    if app.json:
        document(plain(found) | {"file": str(path), "not_proved": LIMITS})
        return
    click.echo(f"{clean(path.name)}: whole. {human_bytes(found.size)}, sha256 {found.sha256}")
    click.echo(f"  {_held(found)}; {found.pages} pages in order, raft index {found.index}")
    click.echo(f"  {LIMITS}")


@verb("export", example="cto etcd export 3f9c --out ./db.snapshot")
@click.argument("snapshot", metavar="ID")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A new file (mode 0600)."
)
@pass_app
def export(app: App, snapshot: str, out: Path) -> None:
    """Write a snapshot out unsealed, for etcd's own tools. Whoever has it has the cluster's secrets."""
    from controller.app.snapshots import export as write_out

    with app.services() as services:
        row = services.store.snapshot(snapshot)
        on_loop(services, lambda: write_out(services, row, out, actor=app.actor()))
    if app.json:
        document({"snapshot": row.id, "path": str(out), "sha256": row.sha256})
    else:
        click.echo(f"{out}: NOT sealed; it holds every secret of cluster {clean(row.cluster)}")


def _held(found: Any) -> str:
    return f"{found.keys} keys at revision {found.revision}, {found.members} members"


etcd = Noun("etcd", help="etcd snapshots: take, list, verify, write out.").add(
    snapshot, list_, verify, export
)
