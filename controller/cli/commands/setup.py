"""`cto setup`: sets a machine up on the machine itself, by the same engine, over SSH to itself.

Starts no cluster: the machine restarts in the middle, and what is left is done from another computer.
"""

import shlex
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Noun, assume_yes, load_site_files, pass_app, site_files
from controller.cli.base import command as verb
from controller.cli.text import clean
from inventory.errors import OperatorError
from inventory.wording import count


@verb("init", example="cto setup init -f site.yaml --keep /mnt/stick/cto")
@site_files
@click.option("--node", metavar="NAME", help="Which node this machine is. Default: the one with its address.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the fleet's record and secrets go: a folder on a stick, which outlives the restart.",
)
@assume_yes
@click.pass_context
@pass_app
def init(
    app: App, context: click.Context, /, files: tuple[Path, ...], node: str | None, keep: Path, yes: bool
) -> Any:
    """Install the machine that this runs on, started from the image, without another computer.

    It restarts into Talos. The cluster is then started by `cto apply` with what was kept, from any computer
    that reaches the machine.
    """
    from controller.cli.commands.apply import apply
    from iso.environment.here import Here

    here = Here()
    host_key = here.host_key()
    here.check_durable(keep.absolute())
    chosen = choose(load_site_files(app, files).fleet.nodes, here.addresses(), node)
    app.home = keep.absolute()
    again = (keep / "fleet.db").exists()
    with app.services() as services:
        here.let_in(services.ssh_public_key)
        for url, sha256 in here.pins().items():
            services.store.pin_image(url, sha256, actor=app.actor(), reason="it came with the image")
        services.store.pin(
            chosen.name,
            address=chosen.address,
            host_key=host_key,
            site=chosen.site,
            cluster=chosen.cluster,
            role=chosen.role,
            actor=app.actor(),
            reason="read on the machine itself",
            replace=True,
        )
    if not app.json:
        if again:
            click.echo(f"{clean(str(keep))} has the record of an earlier run: this goes on with it.")
        click.echo(
            f"This machine becomes {clean(chosen.name)}, and restarts. "
            f"Afterwards, with the stick on a computer that reaches {clean(chosen.address)}:\n"
            f"  → CTO_HOME=… cto apply -f {shlex.quote(str(files[0]) if files else 'site.yaml')}"
        )
    return context.invoke(
        apply, files=files, yes=yes, until=None, sites=(), clusters=(), nodes=(chosen.name,), labels=()
    )


def choose(nodes: Any, addresses: tuple[str, ...], name: str | None) -> Any:
    """The node that this machine is to be: the one of that name, or the one with one of its addresses."""
    shown = ", ".join(addresses) or "none yet"
    if name is not None and name not in nodes:
        raise OperatorError(f"no site file has a node {clean(name)!r}", fix="cto validate lists them")
    fitting = [node for node in nodes.values() if node.address in addresses and name in (None, node.name)]
    if len(fitting) != 1:
        which = clean(name) if name else count(len(fitting), "node")
        raise OperatorError(
            f"this machine has the addresses {shown}, and {which} of the site files "
            + ("has another" if name else "fit"),
            fix="write one of them as the node's address, and give --node if several fit",
        )
    return fitting[0]


setup = Noun("setup", help="Set up the machine that this runs on.").add(init)
