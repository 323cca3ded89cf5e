"""`cto cluster`: shows clusters and hands out their access files. Prints a secret only when asked by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.base import (
    App,
    F,
    Noun,
    complete_clusters,
    load_site_files,
    pass_app,
    read_text,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.files import new_file
from controller.cli.output import document, plain
from controller.cli.recovering import recover
from controller.cli.text import clean, clean_block
from inventory.errors import OperatorError
from inventory.wording import count
from web import present
from web.ports import ClusterView

if TYPE_CHECKING:
    from controller.cli.access import Handed


@verb("show", example="cto cluster show berlin")
@click.argument("name", required=False, shell_complete=complete_clusters)
@pass_app
def show(app: App, name: str | None) -> None:
    """Show one cluster or all of them, with their members."""
    now = app.now()
    with app.services() as services:
        clusters = [_find(services.queries.clusters(), name)] if name else list(services.queries.clusters())
        nodes = services.queries.nodes()
    if app.json:
        shown = [
            plain(cluster) | {"members": [node.name for node in nodes if node.cluster == cluster.name]}
            for cluster in clusters
        ]
        document(shown[0] if name else shown)
        return
    if not clusters:
        click.echo("No clusters are known yet.\n  → describe one in a site file, then: cto plan -f FILE")
    for cluster in clusters:
        badge = present.cluster_badge(cluster, now)
        click.echo(f"{click.style(clean(cluster.name), bold=True)}  {badge.symbol} {clean(badge.label)}")
        if cluster.problem:
            click.echo(clean_block(f"  {cluster.problem}"))
        click.echo(f"  site        {clean(cluster.site)}\n  endpoint    {clean(cluster.endpoint)}")
        verified = present.age(cluster.verified_at, now)
        click.echo(f"  kubernetes  {clean(cluster.kubernetes)}\n  verified    {verified}")
        for node in (node for node in nodes if node.cluster == cluster.name):
            state = present.node_badge(node, now)
            click.echo(f"    {state.symbol} {clean(node.name)}  {clean(node.role)}  {clean(state.label)}")


def _find(known: Sequence[ClusterView], name: str) -> ClusterView:
    for cluster in known:
        if cluster.name == name:
            return cluster
    listed = ", ".join(cluster.name for cluster in known[:10]) or "none yet"
    raise OperatorError(f"no cluster {name!r} is known here", fix=f"known: {listed}")


def _where(function: F) -> F:
    """From what a verb makes a file that is a secret, and how it hands it out."""
    for decorate in (
        click.option("--stdout", is_flag=True, help="Print its contents: they are a secret."),
        click.option(
            "--out", type=click.Path(path_type=Path, dir_okay=False), help="Copy it there (mode 0600)."
        ),
        click.option(
            "--secrets",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Make it from this secrets bundle, not from what is kept here.",
        ),
        click.option(
            "-f",
            "--file",
            "files",
            multiple=True,
            type=click.Path(path_type=Path),
            help="Take the addresses from this site file or directory.",
        ),
        click.option(
            "--hours", type=click.IntRange(1, 8760), help="Make it now, valid so long. Made ones: 24 hours."
        ),
        click.argument("name", shell_complete=complete_clusters),
    ):
        function = decorate(function)
    return function


@verb(
    "kubeconfig",
    example='export KUBECONFIG="$(cto cluster kubeconfig berlin)"\ncto cluster kubeconfig berlin --out k'
    "\ncto cluster kubeconfig berlin -f site.yaml --secrets secrets.yaml --hours 1",
)
@_where
@pass_app
def kubeconfig(
    app: App,
    name: str,
    files: tuple[Path, ...],
    secrets: Path | None,
    hours: int | None,
    out: Path | None,
    stdout: bool,
) -> None:
    """Write the cluster's kubeconfig to a private file and print its path.

    The one that is kept, if there is one; else, and with --hours, -f or --secrets, one that is made offline:
    no node is asked. Which endpoint is in it goes to standard error.
    """
    from controller.cli import access

    with app.services() as services:
        kept = None if files or secrets or hours else access.fetched(services, name)
        if kept is None:
            reach = access.source(app, services, name, files, secrets)
            kept = access.kubeconfig(services, reach, now=app.now(), hours=hours)
    _hand_out(app, name, kept, out, stdout)


@verb(
    "talosconfig",
    example='export TALOSCONFIG="$(cto cluster talosconfig berlin)"\ncto cluster talosconfig b --hours 1'
    "\ncto cluster talosconfig berlin -f site.yaml --secrets secrets.yaml",
)
@_where
@pass_app
def talosconfig(
    app: App,
    name: str,
    files: tuple[Path, ...],
    secrets: Path | None,
    hours: int | None,
    out: Path | None,
    stdout: bool,
) -> None:
    """Make an administrator's talosconfig offline, write it to a private file and print its path.

    Which endpoints are in it goes to standard error.
    """
    from controller.cli import access

    with app.services() as services:
        reach = access.source(app, services, name, files, secrets)
        made = access.talosconfig(services, reach, now=app.now(), hours=hours)
    _hand_out(app, name, made, out, stdout)


def _hand_out(app: App, cluster: str, made: "Handed", out: Path | None, stdout: bool) -> None:
    path = made.path
    if out is not None and not stdout:
        write_new(out, path.read_bytes())
        path = out
    if app.json and not stdout:
        until = made.until.isoformat() if made.until else ""
        told = {"endpoints": list(made.endpoints), "said_by": made.said_by, "valid_until": until}
        document({"cluster": cluster, "path": str(path), **told})
        return
    if made.endpoints:
        listed = ", ".join(clean(each) for each in made.endpoints)
        click.echo(f"endpoint{'s' * (len(made.endpoints) > 1)}: {listed} (by {made.said_by})", err=True)
    if made.until:
        click.echo(
            f"made offline, valid until {made.until:%Y-%m-%d %H:%M} UTC; it can't be revoked", err=True
        )
    click.echo(path.read_text(encoding="utf-8") if stdout else str(path), nl=not stdout)


def write_new(path: Path, content: bytes) -> None:
    """Writes a 0600 file that did not exist: to overwrite another cluster's access is no favor."""
    with new_file(path) as file:
        file.write(content)


@verb("adopt", example="cto cluster adopt berlin -f site.yaml --secrets secrets.yaml")
@click.argument("name")
@site_files
@click.option(
    "--secrets",
    "bundle",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its secrets bundle, as `talosctl gen secrets` wrote it.",
)
@pass_app
def adopt(app: App, name: str, files: tuple[Path, ...], bundle: Path) -> None:
    """Take over a Talos cluster that exists. Its nodes are only read; nothing on them is changed."""
    from controller.app.adopt import adopt as take_over
    from controller.cli.loop import on_loop

    resolved, text = load_site_files(app, files), read_text(bundle)
    with app.services() as services:
        done = on_loop(
            services,
            lambda: take_over(services, resolved.fleet, name, text, where=str(bundle), actor=app.actor()),
        )
    if app.json:
        found = [{"name": each.name, "talos": each.talos} for each in done.nodes]
        document({"cluster": name, "nodes": found, "notes": done.notes})
        return
    click.echo(f"{name}: taken over with {count(len(done.nodes), 'node')}, which were only read")
    for note in done.notes:
        click.echo(f"  note: {clean(note, 200)}")


@verb("manage", example="cto cluster manage berlin\ncto cluster manage berlin --leave")
@click.argument("name", shell_complete=complete_clusters)
@click.option("--leave", is_flag=True, help="Leave their configurations alone again.")
@pass_app
def manage(app: App, name: str, leave: bool) -> None:
    """Let apply change the configurations of an adopted cluster's nodes. This itself changes no node."""
    with app.services() as services:
        _find(services.queries.clusters(), name)
        names = services.store.manage(name, on=not leave, actor=app.actor())
    if not names:
        raise OperatorError(
            "none of its nodes was adopted",
            where=name,
            fix="cto apply changes what it installed without this",
        )
    if app.json:
        document({"cluster": name, "managed": not leave, "nodes": names})
        return
    nodes = count(len(names), "adopted node")
    if leave:
        click.echo(f"{name}: the configurations of its {nodes} are left as they are")
    else:
        click.echo(f"{name}: cto plan shows what changes on its {nodes}, cto apply delivers it")


cluster = Noun("cluster", help="Show clusters; fetch kubeconfig and talosconfig.").add(
    show, adopt, manage, kubeconfig, talosconfig, recover
)
