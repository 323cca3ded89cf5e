"""`cto bundle`: carries releases to where no network is. The publisher's signatures stay; it makes none."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, human_bytes
from controller.cli.text import clean
from inventory.wording import count

if TYPE_CHECKING:
    from controller.app.airgap import Contents
    from controller.app.pushing import Pushed

_PATH = click.Path(path_type=Path)


@verb("create", example="cto bundle create /media/stick/bundle --release talos-1.13.9")
@click.argument("out", metavar="OUT", type=_PATH)
@click.option("--release", "names", multiple=True, metavar="NAME", help="Which goes along; may repeat.")
@click.option("--metadata-only", is_flag=True, help="No files: signatures and dates only, a few kilobytes.")
@click.option("--from", "source", default="", metavar="URL", help="Take it from here: a mirror, a folder.")
@pass_app
def create(app: App, out: Path, names: tuple[str, ...], metadata_only: bool, source: str) -> None:
    """Make a bundle from the publisher's feed, on a computer that reaches it. Run again, it goes on."""
    from controller.app import airgap
    from controller.cli.commands.update import absolute
    from controller.cli.transfers import Transfers

    if bool(names) == metadata_only:
        raise click.UsageError("name what goes along with --release, or say --metadata-only")
    with app.services() as services, Transfers(quiet=app.json) as shown:
        made = airgap.create(services, out.absolute(), names, shown.update, url=absolute(source))
    _show(app, out, made, f"{out} is made")


@verb("verify", example="cto bundle verify /media/stick/bundle")
@click.argument("folder", metavar="BUNDLE", type=_PATH)
@pass_app
def verify(app: App, folder: Path) -> None:
    """Check every signature, date and byte, and say what is in it. Changes nothing."""
    from controller.app import airgap

    with app.services() as services:
        found = airgap.verify(services, folder.absolute())
    _show(app, folder, found, f"{folder} is whole")


@verb("import", example="cto bundle import /media/stick/bundle --push http://registry.site:5000")
@click.argument("folder", metavar="BUNDLE", type=_PATH)
@click.option("--push", "registry", default="", metavar="URL", help="Its container images go there, too.")
@pass_app
def import_(app: App, folder: Path, registry: str) -> None:
    """Check a bundle and put its releases ready. After Ctrl-C, run it again: it goes on."""
    from controller.app import airgap, pushing
    from controller.cli.transfers import Transfers

    with app.services() as services, Transfers(quiet=app.json) as shown:
        found = airgap.bring_in(services, folder.absolute(), shown.update, actor=app.actor())
        pushed = pushing.push(services, registry, found.releases) if registry else ()
    _show(app, folder, found, f"{folder} is imported", pushed)


def _show(
    app: App, folder: Path, found: "Contents", headline: str, pushed: "tuple[Pushed, ...]" = ()
) -> None:
    if app.json:
        from dataclasses import asdict

        body = {**asdict(found), "until": found.until.isoformat(), "bundle": str(folder)}
        document({**body, "pushed": [asdict(each) for each in pushed]})
        return
    click.echo(f"{headline}: {count(found.files, 'file')}, {human_bytes(found.bytes)}")
    click.echo(f"  with all files: {', '.join(map(clean, found.releases)) or 'none'}")
    if found.others:
        click.echo(f"  described only: {', '.join(map(clean, found.others))}")
    click.echo(f"  good until {found.until:%Y-%m-%d}, when its {found.first} ends")
    for each in pushed:
        click.echo(f"  pushed {clean(each.name)}: sha256:{each.sha256}, {human_bytes(each.sent)} sent")


bundle = Noun("bundle", help="Carry releases to where no network is.").add(create, verify, import_)
