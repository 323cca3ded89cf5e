"""`cto support bundle`: lists what would leave, asks, then writes one redacted file. Sends nothing."""

from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Noun, assume_yes, confirm, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, human_bytes
from inventory.errors import FleetError


@verb("bundle", example="cto support bundle --out ./support.tar.gz")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: ./cto-support-TIME.tar.gz"
)
@assume_yes
@pass_app
def bundle(app: App, out: Path | None, yes: bool) -> None:
    """Write a redacted bundle for a support request, after showing what is in it.

    No addresses, no keys, no facts, no configuration: only names, states, times and kinds of errors.
    """
    from controller.cli.bundle import contents, write
    from controller.cli.commands.doctor import surroundings
    from controller.cli.health import examine

    around = surroundings(app)
    findings = list(examine(around))
    try:
        if not around.home.database.exists():
            files = contents(None, findings, around.home.logs, {})
        else:
            with app.services() as services:
                files = contents(services.queries, findings, around.home.logs, _steps(services))
    except FleetError:  # a store that can't be read is why somebody may need support
        files = contents(None, findings, around.home.logs, {})
    path = out or Path(f"cto-support-{app.now():%Y%m%d-%H%M%S}.tar.gz")
    if not app.json:
        click.echo("The bundle holds:")
        for name, content in sorted(files.items()):
            click.echo(f"  {name:<28} {human_bytes(len(content)):>10}")
    confirm(f"Write {path}?", yes=yes)
    write(path, files, at=app.now())
    if app.json:
        document(
            {"file": str(path), "contents": {name: len(content) for name, content in sorted(files.items())}}
        )
    else:
        click.echo(f"written: {path}. Look into it before you send it: tar -tzf {path}")


def _steps(services: Any) -> dict[str, Any]:
    """By node. Nothing where the store can't be opened for writing: the rest may still help."""
    names = [node.name for node in services.queries.nodes()]
    try:
        return {name: services.store.steps(f"node/{name}") for name in names}
    except OSError:
        return {}


support = Noun("support", help="A redacted bundle for a support request.").add(bundle)
