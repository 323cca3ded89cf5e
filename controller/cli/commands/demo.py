"""`cto demo`: two simulated sites become two clusters while you watch. Shows; `controller.app.demo` does."""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, command, pass_app
from controller.cli.loop import on_loop
from controller.cli.output import document, human_seconds, table
from controller.cli.progress import follower
from inventory.wording import count
from web.ports import EXIT_DONE, EXIT_NODE


@command("demo", example="cto demo\ncto demo --once --output json\ncto demo --stop")
@click.option("--once", is_flag=True, help="Take everything down when the clusters are verified.")
@click.option("--stop", is_flag=True, help="End the page and the lab that an earlier demo left running.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8180,
    show_default=True,
    help="Of the page; 0: any free one.",
)
@pass_app
def demo(app: App, once: bool, stop: bool, port: int) -> int:
    """Provision two simulated sites: a cluster of four nodes and a one-node appliance.

    It has a home of its own (`demo` below $CTO_HOME) and starts afresh each time. With --once, exit code 0
    means exactly that both clusters were verified.
    """
    from controller.app.demo import demo_home, only_demo, stop_demo
    from controller.store import Home

    home = demo_home(Home.locate(app.home, environ=app.environ).root)
    with only_demo(home):
        return _stopped(app, stop_demo(home)) if stop else _run(app, home, once=once, port=port)


def _run(app: App, home: Path, *, once: bool, port: int) -> int:
    from controller.app.demo import clear_demo, start_page, stop_demo

    clear_demo(home)
    app.home = home
    try:
        result = _provision(app)
        if result.worked and not once and not app.json:
            url = start_page(home, port)
            _what_now(str(home), url, _login_link(app, url))
    except BaseException:
        stop_demo(home)
        raise
    if once or not result.worked:
        stop_demo(home)
    if app.json:
        click.echo(json.dumps(result.to_dict(), separators=(",", ":")))
    return EXIT_DONE if result.worked else EXIT_NODE


def _stopped(app: App, ran: bool) -> int:
    if app.json:
        document({"stopped": ran})
    else:
        click.echo("stopped" if ran else "no demo is running")
    return EXIT_DONE


def _provision(app: App) -> Any:
    from controller.app.demo import run_demo

    began = time.monotonic()
    if not app.json:
        click.echo(
            "Starting two sites of simulated machines (real SSH, mDNS, disks and Talos API on loopback)…"
        )
    with app.services() as services:
        shown: Any = None

        def planned(plan: Any) -> None:
            nonlocal shown
            if not app.json:
                _plan_in_brief(plan.to_dict())
            shown = follower(
                app, services.queries, [n.name for n in plan.nodes], after=services.queries.last_event_id()
            )

        def update() -> None:
            if shown is not None:
                shown.update()

        try:
            result = on_loop(services, lambda: run_demo(services, on_update=update, planned=planned))
        finally:
            if shown is not None:
                shown.close()
    if not app.json:
        took = human_seconds(time.monotonic() - began)
        word = click.style("verified", fg="green") if result.worked else click.style("not verified", fg="red")
        clusters, nodes = count(result.clusters, "cluster"), count(result.nodes, "node")
        click.echo(f"{result.verified} of {clusters} {word}, {nodes}, {took}.")
    return result


def _plan_in_brief(plan: dict[str, Any]) -> None:
    table(
        ("SITE", "NODE", "ROLE", "HARDWARE", "DISK"),
        [
            (n["site"], n["name"], n["role"], n["profile"], n["disk"]["model"] if n["disk"] else "none")
            for n in plan["nodes"]
        ],
    )
    click.echo()


def _login_link(app: App, url: str) -> str:
    """Logs in once, as whoever may read the demo's home."""
    from controller.app.people_admin import new_code
    from controller.store.accounts import LOCAL

    with app.services() as services:
        return f"{url}enter#{new_code(services, LOCAL, actor=app.actor())}"


def _what_now(home: str, url: str, link: str) -> None:
    from controller.app.lab import TALOS

    click.echo(f"\nThe fleet is live at {click.style(link, bold=True)}")
    click.echo(f"  → the link logs in once; afterwards it is {url}, and `cto user code` makes another\n")
    click.echo("Try next:")
    series, _, patch = TALOS.rpartition(".")
    newer = f"{series}.{int(patch) + 1}"
    programs = Path(sys.executable).parent
    click.echo(f"  export CTO_HOME={shlex.quote(home)}")
    click.echo(f'  export CTO_SITE="$CTO_HOME/lab" PATH={shlex.quote(str(programs))}:"$PATH"')
    for text, why in (
        ("cto status", "the fleet at a glance"),
        ("cto plan", "nothing to do, and it says so"),
        (f"cto rollout plan --talos {newer} --rehearse", "how an update would go"),
        (f"cto rollout start --talos {newer} --reason demo", "update both clusters, in waves"),
        ("cto events --follow", "what happens, as it happens"),
        ("cto demo --stop", "end the page and the lab"),
    ):
        click.echo(f"  {text:<52} {why}")
