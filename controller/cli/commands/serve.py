"""`cto serve`: the engine and the web page until Ctrl-C, on this computer only."""

import click

from controller.cli.base import App, command, pass_app
from controller.cli.loop import on_loop
from controller.cli.output import line
from web.ports import EXIT_DONE


@command("serve", example="cto serve --port 8180")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8180, show_default=True, help="0: any free one."
)
@pass_app
def serve(app: App, port: int) -> int:
    """Run the controller and its web page at 127.0.0.1 until Ctrl-C.

    Exit code 3 if another engine is at work already.
    """
    from controller.app.serve import serve as run
    from web.asgi import build

    def started(url: str) -> None:
        if app.json:
            line({"url": url})
        else:
            click.echo(f"Serving at {url} (Ctrl-C ends it; nothing is lost)")

    with app.services() as services:
        pages = build(services.queries, clock=services.clock.now)
        on_loop(services, lambda: run(services, pages, port=port, started=started))
    return EXIT_DONE
