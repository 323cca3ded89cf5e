"""`cto node confirm`: a node in maintenance mode is trusted by the fingerprint on its console.

Sends nothing to the node: `cto apply` delivers the configuration.
"""

import base64
import binascii
import sys
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, complete_nodes, pass_app
from controller.cli.base import command as verb
from controller.cli.loop import on_loop
from controller.cli.output import document
from controller.cli.text import clean
from inventory.errors import NodeError, OperatorError, RefusedError

if TYPE_CHECKING:
    from controller.wiring import Wiring


@verb(
    "confirm",
    example="cto node confirm berlin-w-1\ncto node confirm berlin-w-1 --maintenance-fingerprint 'kX0…='",
)
@click.argument("name", shell_complete=complete_nodes)
@click.option(
    "--maintenance-fingerprint",
    "given",
    metavar="TEXT",
    help="As its console shows it. Without: shown here, to be compared by you.",
)
@pass_app
def confirm_key(app: App, /, *, name: str, given: str | None) -> None:
    """Trust a node that waits in maintenance mode for its configuration, until its next boot."""
    with app.services() as services:
        if services.store.node(name) is None:
            fix = "see cto node list; nodes come from site files and cto node add"
            raise OperatorError(f"there is no node {clean(name)!r}", fix=fix)
        if given is None:
            key, reason = _compared(services, name), "fingerprint on the console confirmed by the operator"
        else:
            key, reason = _checked(given), "fingerprint given by the operator"
        services.store.confirm_maintenance(name, key, actor=app.actor(), reason=reason)
    if app.json:
        document({"node": name, "maintenance_fingerprint": key})
    else:
        click.echo(f"{clean(name)}: confirmed until its next boot. Now run cto apply again.")


def _checked(given: str) -> str:
    """base64 of a SHA-256, as Talos prints it."""
    text = given.strip()
    try:
        right = len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        right = False
    if not right:
        fix = "copy it from the console: 44 characters that end with ="
        raise OperatorError(f"{clean(given)!r} is no fingerprint of a Talos in maintenance mode", fix=fix)
    return text


def _compared(services: "Wiring", name: str) -> str:
    """The operator compares it with the console: what only came over the network proves nothing."""
    if not sys.stdin.isatty():
        fix = "read it from the node's console and pass --maintenance-fingerprint"
        raise RefusedError(
            "somebody has to compare the fingerprint, and there is no terminal", where=name, fix=fix
        )
    shown = on_loop(services, lambda: _shown(services, name))
    click.echo(f"The node that answered shows this key:\n\n    {clean(shown)}\n", err=True)
    if not click.confirm("Does its console show the same?", default=False, err=True):
        raise RefusedError(
            "not confirmed", where=name, fix="another machine may answer: check its address and cable"
        )
    return shown


async def _shown(services: "Wiring", name: str) -> str:
    from controller.app.context import TALOS_PORT, target_of

    row = services.store.node(name)
    if row is None:
        raise OperatorError(f"there is no node {clean(name)!r}", fix="see cto node list")
    async with services.ssh.forward(target_of(row), TALOS_PORT) as (host, port):
        shown = await services.talos.maintenance_key(host, port)
    if not shown:
        what = "what answers there is not in maintenance mode"
        raise NodeError(what, where=name, fix="look at its console; a node with a configuration needs none")
    return shown
