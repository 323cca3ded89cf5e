"""`cto events`: what happened, from the store; with --follow as it happens, whoever does it."""

import time

import click

from controller.cli.base import App, command, complete_clusters, complete_nodes, pass_app
from controller.cli.output import line, plain
from controller.cli.picking import pick
from controller.cli.text import clean
from web.fleet import latest_events
from web.ports import EventView, Queries

_POLL_SECONDS = 0.25
_KIND_WIDTH = 13  # of most of them


@command("events", example="cto events --follow --node berlin-cp-1")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many of the past."
)
@click.option("--after", type=click.IntRange(0), metavar="ID", help="Only what came after this event.")
@click.option("--node", metavar="NAME", help="Only about this node.", shell_complete=complete_nodes)
@click.option("--cluster", metavar="NAME", help="Only about this cluster.", shell_complete=complete_clusters)
@pass_app
def events(
    app: App, /, *, follow: bool, limit: int, after: int | None, node: str | None, cluster: str | None
) -> None:
    """Print events, oldest first, one per line; json gives one document per line."""
    subject = f"node/{node}" if node else f"cluster/{cluster}" if cluster else ""
    with app.services() as services:
        queries: Queries = services.queries
        if subject and not latest_events(queries, 1, subject):
            # What was removed keeps its events; a name with none has to be one that is known.
            pick(queries.nodes(), [], [cluster] if cluster and not node else [], [node] if node else [], [])
        past = latest_events(queries, limit, subject) if after is None else since(queries, after, subject)
        for event in past:
            show(app, event)
        if not past and not app.json:
            click.echo("nothing has happened yet" if after is None else f"nothing since {after}", err=True)
        cursor = past[-1].id if past else after or queries.last_event_id()
        while follow:
            for event in queries.events(cursor, 500, subject):
                show(app, event)
                cursor = event.id
            time.sleep(_POLL_SECONDS)


def since(queries: Queries, after: int, subject: str) -> list[EventView]:
    """Everything after the cursor, page by page."""
    found: list[EventView] = []
    while page := queries.events(after, 500, subject):
        found += page
        after = page[-1].id
    return found


def show(app: App, event: EventView) -> None:
    """One event as a line."""
    if app.json:
        line(plain(event))
        return
    at = clean(event.at, 32).replace("T", " ")[:19]
    kind = click.style(clean(event.kind, 40), bold=True)
    pad = " " * (_KIND_WIDTH - len(clean(event.kind, 40)))
    click.echo(f"{at}  {kind}{pad}  {clean(event.subject, 80):<24}  {clean(event.message)}".rstrip())
