"""`cto render`: the effective fleet after every overlay, and which layer set a value."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli.base import App, command, load_site_files, pass_app, site_files
from controller.cli.output import document, plain, table
from controller.cli.text import clean_block

if TYPE_CHECKING:
    from inventory.resolve import Resolved

_EXAMPLE = "cto render -f examples/ha-site.yaml --explain nodes/berlin-cp-1/disk.wipe"


@command("render", example=_EXAMPLE)
@site_files
@click.option(
    "--explain", "path", metavar="PATH", help="Which layers set this value, the one that counts last."
)
@pass_app
def render(app: App, files: tuple[Path, ...], path: str | None) -> None:
    """Print the effective document: what the site files say once every layer is applied."""
    resolved = load_site_files(app, files)
    if path is not None:
        _explain(app, resolved, path)
    elif app.json:
        document(resolved.effective())
    else:
        click.echo(to_yaml(resolved.effective()), nl=False)


def to_yaml(value: Any) -> str:
    """YAML in the order of the files; ASCII, so that nothing in it can act on a terminal."""
    import yaml

    return str(yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=False, width=100))


def _explain(app: App, resolved: "Resolved", path: str) -> None:
    layers = [
        {"layer": entry.layer, "value": plain(entry.value), "file": entry.file, "line": entry.line}
        for entry in resolved.explain(path)
    ]
    if app.json:
        document({"path": path, "layers": layers})
        return
    rows = [(item["layer"], clean_block(item["value"]), _place(item)) for item in layers]
    table(("LAYER", "VALUE", "SET AT"), rows)


def _place(layer: dict[str, Any]) -> str:
    """Where a layer stands in the files; built-in values stand in none."""
    return f"{layer['file']}:{layer['line']}" if layer["file"] else "-"
