"""`cto demo`: two simulated sites become two clusters while you watch; the use case does the work."""

import json
import sys
from typing import Any

import click

from controller.cli.base import App, command, pass_app
from controller.cli.loop import on_loop
from controller.cli.progress import follower


@command("demo", example="cto demo\ncto demo --once --output json")
@click.option(
    "--once", is_flag=True, help="End when both clusters are verified, instead of serving the page."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8180,
    show_default=True,
    help="Of the page; 0: any free one.",
)
@pass_app
def demo(app: App, once: bool, port: int) -> int:
    """Provision two simulated sites: a cluster of four nodes and a one-node appliance.

    With --once, exit code 0 means exactly that both clusters were verified.
    """
    from controller.app.demo import run_demo
    from web.asgi import build

    def say(text: str) -> None:
        if not app.json:
            click.echo(text)

    with app.services() as services:
        shown = follower(app, services.queries, (), after=services.queries.last_event_id())
        pages = None if once else build(services.queries, clock=services.clock.now)
        try:
            result: Any = on_loop(
                services, lambda: run_demo(services, on_update=shown.update, say=say, pages=pages, port=port)
            )
        finally:
            shown.close()
    if app.json:
        click.echo(json.dumps(result.to_dict(), separators=(",", ":")))
        sys.stdout.flush()
    return int(result.exit_code)
