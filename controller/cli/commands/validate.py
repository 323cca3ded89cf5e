"""`cto validate`: reads the site files and says what is wrong with them. Contacts nothing, stores nothing."""

from pathlib import Path

import click

from controller.cli.base import App, command, load_site_files, pass_app, site_files
from controller.cli.output import document
from controller.cli.text import clean_block


@command("validate", example="cto validate -f examples/ha-site.yaml")
@site_files
@pass_app
def validate(app: App, files: tuple[Path, ...]) -> None:
    """Check site files; every problem comes with file, line, path and fix."""
    resolved = load_site_files(app, files)
    fleet = resolved.fleet
    if app.json:
        warnings = [
            {name: getattr(w, name) for name in ("file", "line", "path", "what", "fix")}
            for w in resolved.warnings
        ]
        counts = {"sites": len(fleet.sites), "clusters": len(fleet.clusters), "nodes": len(fleet.nodes)}
        document({"ok": True, **counts, "warnings": warnings})
        return
    for warning in resolved.warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {clean_block(warning)}", err=True)
    click.echo(
        f"good: {count(len(fleet.sites), 'site')}, {count(len(fleet.clusters), 'cluster')}, "
        f"{count(len(fleet.nodes), 'node')}"
    )


def count(number: int, noun: str) -> str:
    """1 node, 2 nodes."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
