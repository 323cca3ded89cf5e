"""`cto cluster recover`: etcd from a snapshot once its quorum is lost. Shows the exact plan first."""

import time

import click

from controller.cli.base import App, assume_yes, complete_clusters, confirm, pass_app
from controller.cli.base import command as verb
from controller.cli.commands.apply import watch
from controller.cli.loop import on_loop
from controller.cli.text import clean_block


@verb("recover", example="cto cluster recover berlin --snapshot 3f9c")
@click.argument("name", shell_complete=complete_clusters)
@click.option(
    "--snapshot",
    required=True,
    metavar="ID|FILE",
    help="As `cto etcd list` shows it, or a file of etcd's own.",
)
@assume_yes
@pass_app
def recover(app: App, /, *, name: str, snapshot: str, yes: bool) -> int:
    """Bring a cluster back from an etcd snapshot once its quorum is lost. Refused while it has one."""
    from controller.app.recovery import describe_recovery

    with app.services() as services:
        found = on_loop(services, lambda: describe_recovery(services, name, snapshot))
        if not app.json:
            click.echo(f"Cluster {name} has lost its etcd quorum. This is what is done:")
            for number, line in enumerate(found.lines, 1):
                click.echo(clean_block(f"  {number}. {line}"))
        confirm("Recover it?", yes=yes)
        nodes = list(found.order["nodes"])
        run_id = services.store.queue_run(
            "recover", {"clusters": [name]}, actor=app.actor(), options=found.order
        )
        return watch(app, services, run_id, nodes, time.monotonic())
