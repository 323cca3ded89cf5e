"""`cto doctor`: runs the checks of `controller.cli.health` and shows what they found."""

from typing import TYPE_CHECKING

import click

from controller.cli.base import App, command, pass_app
from controller.cli.output import COLORS, document, plain
from controller.cli.text import clean
from inventory.errors import FleetError
from web.present import SYMBOLS

if TYPE_CHECKING:
    from controller.cli.health import Surroundings


@command("doctor", example="cto doctor")
@pass_app
def doctor(app: App) -> int:
    """Check clock, network, firewall, disk, store and more; a fix for each finding.

    Exit code 0 if nothing is bad, 2 if this computer needs mending, 4 if only the network does.
    """
    from controller.cli.health import examine, exit_code

    findings = list(examine(surroundings(app)))
    if app.json:
        document({"ok": exit_code(findings) == 0, "findings": [plain(finding) for finding in findings]})
        return exit_code(findings)
    for finding in findings:
        mark = click.style(SYMBOLS[finding.level], fg=COLORS[finding.level])
        click.echo(f"{mark} {finding.check:<13} {clean(finding.what, 400)}")
        if finding.fix:
            click.echo(f"  {'':<13} → {clean(finding.fix, 400)}")
    return exit_code(findings)


def surroundings(app: App) -> "Surroundings":
    """What the checks look at. A store that can't be read is for them to report."""
    from controller.cli.health import Known, Surroundings
    from controller.store import StoreQueries
    from controller.store.home import Home

    home = Home.locate(app.home, environ=app.environ)
    if not home.database.exists():
        return Surroundings(home, app.now(), Known())
    try:
        # Not through the services: a look must not migrate the store, reserve space or write at all.
        with StoreQueries(home) as queries:
            queries.check()
            nodes = queries.nodes()
            jumps = tuple(node.jump for node in nodes if node.jump)
            running = (
                sum(run.state == "running" for run in queries.runs(50)) if not queries.engine().pid else 0
            )
            known = Known(len(nodes), jumps, queries.time_floor(), running)
    except FleetError as error:
        known = Known(problem=error.what, fix=error.fix)
    return Surroundings(home, app.now(), known)
