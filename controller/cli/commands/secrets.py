"""`cto secrets`: a cluster's secrets as a file. Never takes a secret from the command line."""

from pathlib import Path

import click

from controller.cli.base import App, Noun, complete_clusters, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.commands.cluster import write_new
from controller.cli.output import document
from inventory.errors import OperatorError

_OWNS = "Whoever has this file owns the cluster: keep it as you would keep the key of the building."


@verb("create", example="cto secrets create berlin")
@click.argument("cluster", shell_complete=complete_clusters)
@click.option(
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write them there (mode 0600).",
)
@pass_app
def create(app: App, cluster: str, output_file: Path | None) -> None:
    """Make a cluster's secrets and seal them in the store. `cto plan` does the same when they are missing."""
    from controller.app.bundles import create_bundle, export_bundle

    with app.services() as services:
        create_bundle(services, cluster, actor=app.actor())
        if output_file:
            write_new(output_file, export_bundle(services, cluster, actor=app.actor()).encode())
    if app.json:
        document({"cluster": cluster, "file": str(output_file or "")})
        return
    click.echo(f"{cluster}: secrets made and sealed in the store")
    if output_file:
        click.echo(f"written to {output_file}\n  → {_OWNS}")


@verb("import", example="cto secrets import berlin secrets.yaml")
@click.argument("cluster", shell_complete=complete_clusters)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--replace", is_flag=True, help="In place of other secrets, while no machine has those.")
@pass_app
def import_(app: App, cluster: str, file: Path, replace: bool) -> None:
    """Seal a bundle that `talosctl gen secrets` or `cto secrets export` wrote. Remove the file afterwards."""
    from controller.app.bundles import import_bundle

    with app.services() as services:
        new = import_bundle(
            services, cluster, read_text(file), where=str(file), actor=app.actor(), replace=replace
        )
    if app.json:
        document({"cluster": cluster, "imported": new})
    elif new:
        click.echo(f"{cluster}: secrets sealed in the store\n  → the file still has them in clear: {file}")
    else:
        click.echo(f"{cluster}: the store has these secrets already")


@verb("export", example="cto secrets export berlin --out berlin-secrets.yaml")
@click.argument("cluster", shell_complete=complete_clusters)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write them there (mode 0600).")
@click.option("--stdout", is_flag=True, help="Print them.")
@pass_app
def export(app: App, cluster: str, out: Path | None, stdout: bool) -> None:
    """Take a cluster's secrets out, as `talosctl gen secrets` writes them. This is audited.

    Whoever has them owns the cluster.
    """
    from controller.app.bundles import export_bundle

    if (out is None) == (not stdout):
        raise OperatorError("where to?", where=cluster, fix="say --out FILE or --stdout, one of them")
    with app.services() as services:
        text = export_bundle(services, cluster, actor=app.actor())
    if out is None:
        if app.json:
            document({"cluster": cluster, "bundle": text})
        else:
            click.echo(text, nl=False)
            click.echo(_OWNS, err=True)
        return
    write_new(out, text.encode())
    if app.json:
        document({"cluster": cluster, "file": str(out)})
    else:
        click.echo(f"written to {out}\n  → {_OWNS}")


secrets = Noun("secrets", help="Make, import and export a cluster's secrets.").add(create, import_, export)
