"""`cto hardware`: the profiles that come with the program, and which one fits a machine's facts."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, table
from controller.cli.text import clean, clean_block
from inventory.errors import OperatorError

if TYPE_CHECKING:
    from facts.hardware import DiskPreference, Overlay


@verb("list", example="cto hardware list")
@pass_app
def list_(app: App) -> None:
    """List the hardware profiles: the disk each one prefers, the extensions it brings."""
    from facts.hardware import load_profiles

    profiles = load_profiles()
    if app.json:
        document(
            [
                {
                    "name": p.name,
                    "title": p.title,
                    "arch": p.arch,
                    "generic": p.generic,
                    "provenance": p.provenance,
                    "extensions": list(p.extensions),
                    "overlay": p.overlay.name if p.overlay else "",
                    "disk": {"prefer": p.disk.prefer, "order": list(p.disk.order)},
                }
                for p in profiles
            ]
        )
        return
    rows = [
        (p.name, p.arch, clean(p.title), _disk(p.disk), _needs(p.extensions, p.overlay), p.provenance)
        for p in profiles
    ]
    table(("PROFILE", "ARCH", "TITLE", "INSTALL DISK", "EXTENSIONS", "PROVENANCE"), rows)


def _disk(disk: "DiskPreference") -> str:
    """Which one it prefers: models first, then kinds."""
    return ", ".join([*([f"models like {clean(disk.prefer)}"] if disk.prefer else []), *disk.order])


def _needs(extensions: tuple[str, ...], overlay: "Overlay | None") -> str:
    names = [clean(name.removeprefix("siderolabs/")) for name in extensions]
    return ", ".join([*names, *([f"overlay {clean(overlay.name)}"] if overlay else [])]) or "none"


@verb("match", example="cto facts show berlin-cp-1 --output json > f.json\ncto hardware match --facts f.json")
@click.option(
    "--facts",
    "path",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Facts as JSON.",
)
@click.option(
    "--report",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write what a new profile needs to this file: no serial numbers, no addresses.",
)
@pass_app
def match(app: App, path: Path, target: Path | None) -> None:
    """Say which profile fits, how well, and why."""
    from controller.cli.commands.facts import read_facts
    from facts.hardware import load_profiles, report
    from facts.hardware import match as find
    from facts.machine_model import hardware as model_of

    machine = model_of(read_facts(path))
    found = find(machine, load_profiles())
    if target is not None:
        _write(target, report(machine))
    if app.json:
        document(
            {
                "profile": found.profile.name,
                "score": found.score,
                "reasons": found.reasons,
                "warnings": found.warnings,
                "report": report(machine) if found.profile.generic else "",
            }
        )
        return
    click.echo(f"{found.profile.name} ({clean(found.profile.title)}), score {found.score}")
    for reason in found.reasons:
        click.echo(f"  {clean(reason)}")
    for warning in found.warnings:
        click.echo(f"  {click.style('warning:', fg='yellow')} {clean(warning)}")
    if found.profile.generic and target is None:
        click.echo("\nNo profile knows this machine. What a profile of its own would be written from:\n")
        click.echo(clean_block(report(machine)))
    if target is not None:
        click.echo(f"\nThe report is in {clean(str(target))}: look it over before you send it.")


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperatorError(
            f"the report can't be written: {error.strerror}", where=str(target), fix="name another file"
        ) from error


hardware = Noun("hardware", help="Hardware profiles, and which one fits.").add(list_, match)
