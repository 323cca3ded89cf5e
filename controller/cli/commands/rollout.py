"""`cto rollout`: updates clusters in waves, and what people may say to that. The use cases do the work."""

import time
from typing import Any

import click

from controller.cli import rollout_show
from controller.cli.base import (
    App,
    F,
    Noun,
    assume_yes,
    complete_from,
    confirm,
    load_site_files,
    pass_app,
    selection,
    selectors,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.loop import on_loop
from controller.cli.output import document, human_seconds, line, plain
from controller.cli.progress import follower
from controller.cli.rollout_orders import (
    ID,
    REASON,
    abort,
    approve,
    cancel,
    pause,
    resume,
    under_way,
    withdraw,
)
from inventory.errors import OperatorError
from web.ports import EXIT_DONE, EXIT_NODE, EXIT_PARTLY


def _wanted(function: F) -> F:
    """What is to be updated, to what, by which policy."""
    for decorate in (
        click.option("--policy", default="", metavar="NAME", help="The update policy, where several apply."),
        click.option(
            "--via",
            multiple=True,
            metavar="VERSION",
            help="A stop on the way, instead of what is known; repeatable.",
        ),
        click.option("--kubernetes", default="", metavar="VERSION", help="The Kubernetes to run."),
        click.option(
            "--schematic",
            default="",
            metavar="ID",
            help="Other extensions; without it each node keeps its own.",
        ),
        click.option("--talos", default="", metavar="VERSION", help="The Talos to run, such as 1.13.10."),
        selectors,
        site_files,
    ):
        function = decorate(function)
    return function


@verb(
    "plan",
    example="cto rollout plan -f site.yaml --talos 1.13.10\n"
    "cto rollout plan -f site.yaml --talos 1.13.10 --rehearse --fault berlin-cp-1=comes-back-bad",
)
@_wanted
@click.option("--rehearse", is_flag=True, help="Run the plan through the simulator, with the real windows.")
@click.option(
    "--fault", "faults", multiple=True, metavar="NODE=KIND", help="For --rehearse; also loss=PERCENT."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the rehearsal's chances.")
@pass_app
def plan(app: App, /, *, rehearse: bool, faults: tuple[str, ...], seed: int, **asked: Any) -> None:
    """Read every cluster and show who would be updated, in which waves, by which way. Nothing is begun.

    Without a target: to the newest release of the policy's channel.
    """
    if faults and not rehearse:
        raise OperatorError("--fault belongs to a rehearsal", fix="add --rehearse")
    with app.services() as services:
        resolved, made = _made(app, services, **asked)
        timeline = _rehearsed(app, resolved, made, faults, seed) if rehearse else None
    if app.json:
        found = rollout_show.plan_document(made)
        document(found | ({"rehearsal": plain(timeline)} if timeline else {}))
        return
    rollout_show.show_plan(made)
    if timeline is not None:
        from controller.core.simulate.rehearse import text

        click.echo("\nRehearsed (hours:minutes from now):\n" + text(timeline))


def _made(app: App, services: Any, **asked: Any) -> tuple[Any, Any]:
    from controller.app.rollout_plan import Wanted, make
    from controller.core.rollout.model import Target

    versions = (asked.pop("talos").removeprefix("v"), asked.pop("kubernetes").removeprefix("v"))
    target = Target(*versions, asked.pop("schematic"))
    via = tuple(version.removeprefix("v") for version in asked.pop("via"))
    wanted = Wanted(target, via, asked.pop("policy"))
    resolved = load_site_files(app, asked.pop("files"))
    return resolved, on_loop(services, lambda: make(services, resolved, selection(**asked), wanted))


def _rehearsed(app: App, resolved: Any, made: Any, faults: tuple[str, ...], seed: int) -> Any:
    from controller.app.rollout_rehearse import rehearsed

    if not made.state.clusters:
        raise OperatorError(
            "there is nothing to rehearse", fix="see why clusters were left out: leave --rehearse"
        )
    return rehearsed(resolved, made, faults, now=app.now(), seed=seed)


@verb(
    "start",
    example='cto rollout start -f site.yaml --talos 1.13.10 --reason "fixes of November"\ncto rollout start',
)
@ID
@_wanted
@click.option("--reason", default="", help="Why; kept in the audit log. Needed for a new rollout.")
@assume_yes
@pass_app
def start(app: App, /, *, rollout: str, reason: str, yes: bool, **asked: Any) -> int:
    """Plan, ask, then carry it out wave by wave; or go on with one that is under way (without a target).

    If another engine is at work (`cto serve`), that one carries it out and this follows. Ctrl-C and a crash
    lose nothing: run it again. Exit code 4 if the rollout stopped or failed, 5 if it was aborted.
    """
    with app.services() as services:
        if asked["talos"] or asked["kubernetes"] or asked["schematic"]:
            if rollout:
                raise OperatorError(
                    "a rollout that exists has its target", fix="leave out the id, or the target"
                )
            rollout = _new(app, services, reason=reason, yes=yes, **asked)
        else:
            rollout = under_way(services, rollout)
        return watch(app, services, rollout)


def _new(app: App, services: Any, *, reason: str, yes: bool, **asked: Any) -> str:
    from controller.app.rollout_plan import keep

    if not reason.strip():
        raise OperatorError("a rollout needs a reason", fix='add --reason "…": the audit log keeps it')
    resolved, made = _made(app, services, **asked)
    if not app.json:
        rollout_show.show_plan(made)
    confirm("Begin?", yes=yes or not made.state.clusters)
    return keep(services, resolved, made, actor=app.actor(), reason=reason)


def watch(app: App, services: Any, rollout: str) -> int:
    """Carries it out or follows it, with what happens as it happens; the exit code."""
    from controller.app.rollout_engine import run_or_follow

    began = time.monotonic()
    if not app.json:
        click.echo(f"rollout {rollout}: Ctrl-C stops this command, not what is under way on nodes")
    after = services.queries.last_event_id()
    members = {node["name"] for c in services.queries.rollout_clusters(rollout) for node in c["nodes"]}
    shown = follower(app, services.queries, sorted(members), after=max(0, after - 1))
    try:
        row = on_loop(services, lambda: run_or_follow(services, rollout, shown.update))
    finally:
        shown.close()
    view = services.queries.rollout(rollout)
    if app.json:
        line({"rollout": rollout, "status": row.status, "seconds": round(time.monotonic() - began, 1)})
    else:
        rollout_show.show_rollout(view, (), nodes=False)
        click.echo(f"  {human_seconds(time.monotonic() - began)}")
    if row.status == "succeeded":
        return EXIT_PARTLY if view.summary["failed"] else EXIT_DONE
    return EXIT_PARTLY if row.status == "aborted" else EXIT_NODE


@verb("status", example="cto rollout status\ncto rollout status 5d1c0b2a9f8e7d6c --nodes")
@ID
@click.option("--nodes", is_flag=True, help="Every node with its stage.")
@pass_app
def status(app: App, rollout: str, nodes: bool) -> None:
    """Show a rollout: its waves, what it waits for and why, what needs hands. Default: the youngest."""
    with app.services() as services:
        queries = services.queries
        youngest = queries.rollouts(1)
        if not rollout and not youngest:
            raise OperatorError("there is no rollout yet", fix="cto rollout plan --talos VERSION")
        view = queries.rollout(rollout) if rollout else youngest[0]
        clusters = queries.rollout_clusters(view.id)
    if app.json:
        document(plain(view) | {"clusters": plain(clusters)})
        return
    rollout_show.show_rollout(view, clusters, nodes=nodes)


@verb("history", example="cto rollout history --limit 5")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@pass_app
def history(app: App, limit: int) -> None:
    """List rollouts, the youngest first."""
    with app.services() as services:
        views = services.queries.rollouts(limit)
    if app.json:
        document([plain(view) for view in views])
        return
    rollout_show.show_history(views)


@verb("rollback", example='cto rollout rollback 5d1c0b2a9f8e7d6c --reason "sound drivers crash" --yes')
@click.argument("rollout", shell_complete=complete_from(lambda q: [r.id for r in q.rollouts()]))
@REASON
@assume_yes
@pass_app
def rollback(app: App, rollout: str, reason: str, yes: bool) -> int:
    """Take what a rollout committed back by one version: a canary, then all clusters in parallel."""
    from controller.app.rollout_plan import keep_rollback
    from controller.core.rollout.codec import load_parts

    with app.services() as services:
        row = services.store.rollout(rollout)
        state = load_parts(row.head, services.store.rollout_bodies(rollout).values())
        confirm(f"Take back what rollout {rollout} did on its nodes?", yes=yes)
        made = on_loop(
            services, lambda: keep_rollback(services, row, state, actor=app.actor(), reason=reason)
        )
        return watch(app, services, made)


rollout = Noun("rollout", help="Update clusters in waves: plan, start, pause, roll back.").add(
    plan, start, status, pause, resume, abort, cancel, approve, withdraw, rollback, history
)
