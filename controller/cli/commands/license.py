"""`cto license`: imports the licence, trusts a publisher's key, shows what is allowed. Issues none."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, Noun, assume_yes, confirm, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document
from controller.cli.text import clean

if TYPE_CHECKING:
    from controller.app.licensing import Held
    from controller.core.license.document import License


@verb("import", example="cto license import acme.license")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@pass_app
def import_(app: App, file: Path) -> None:
    """Verify a licence and use it from now on, instead of the one before."""
    from controller.app.licensing import held, import_license

    with app.services() as services:
        import_license(services, read_text(file), actor=app.actor())
        _show(app, held(services))


@verb("trust", example="cto license trust publisher.pub")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@assume_yes
@pass_app
def trust(app: App, file: Path, yes: bool) -> None:
    """Accept licences signed by a publisher's key. Compare its id with what the publisher told you."""
    from controller.app.licensing import public_key
    from controller.core.license.document import key_id

    text = read_text(file).strip()
    name = key_id(public_key(text))
    confirm(f"Accept licences signed by the key {name}?", yes=yes)
    with app.services() as services:
        services.store.trust_license_key(name, text, actor=app.actor())
    if app.json:
        document({"key": name})
    else:
        click.echo(f"licences signed by {name} are accepted")


@verb("show", example="cto license show --output json")
@pass_app
def show(app: App) -> None:
    """What is allowed, until when, and how much of it is taken. Also the id to order a licence with."""
    from controller.app.licensing import held

    with app.services() as services:
        _show(app, held(services), services.store.controller_id())


def _show(app: App, found: "Held", controller: str = "") -> None:
    limits = found.allowance.limits
    if app.json:
        document(
            {
                "standing": found.allowance.standing.value,
                "nodes": {"allowed": limits.nodes, "counted": found.nodes},
                "clusters": {"allowed": limits.clusters, "counted": found.clusters},
                "license": _plain(found.license),
                "note": found.problem or found.allowance.note,
                "controller": controller,
            }
        )
        return
    if found.license:
        made = found.license
        click.echo(
            f"Licence {clean(made.id)} for {clean(made.holder)}, until {made.expires:%Y-%m-%d %H:%M} UTC"
        )
    else:
        click.echo("No licence: every feature, within the community's limits.")
    click.echo(f"  nodes     {found.nodes} of {_limit(limits.nodes)}")
    click.echo(f"  clusters  {found.clusters} of {_limit(limits.clusters)}")
    if controller:
        click.echo(f"  this controller is {controller}")
    if found.problem or found.allowance.note:
        click.echo(f"  ! {clean(found.problem or found.allowance.note)}")


def _limit(most: int | None) -> str:
    return "any number" if most is None else str(most)


def _plain(made: "License | None") -> dict[str, object] | None:
    if made is None:
        return None
    return {
        "id": made.id,
        "holder": made.holder,
        "not_before": made.not_before.isoformat(),
        "expires": made.expires.isoformat(),
        "controller": made.controller,
    }


license = Noun(  # noqa: A001 - the command's name; the tree finds it by this
    "license", help="The licence: import it, see what it allows."
).add(import_, trust, show)
