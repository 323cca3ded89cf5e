"""`cto apply`: plans, shows, asks, orders the run and shows it. The use cases do the work."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from controller.cli.base import (
    App,
    assume_yes,
    command,
    confirm,
    default_files,
    pass_app,
    read_texts,
    selection,
    selectors,
    site_files,
    until_prepared,
)
from controller.cli.commands.plan import show
from controller.cli.loop import on_loop
from controller.cli.output import human_seconds, line
from controller.cli.progress import follower
from controller.cli.text import clean, clean_block
from web.ports import EXIT_BUG, EXIT_CANCELLED, EXIT_DONE, EXIT_INPUT, EXIT_NODE, EXIT_PARTLY

STATE_CODES = {"done": EXIT_DONE, "partly": EXIT_PARTLY, "failed": EXIT_NODE, "cancelled": EXIT_CANCELLED}


@command("apply", example="cto apply -f site.yaml --site berlin --yes")
@site_files
@selectors
@until_prepared
@assume_yes
@pass_app
def apply(
    app: App, /, files: tuple[Path, ...], yes: bool, until: str | None, **chosen: tuple[str, ...]
) -> int:
    """Make the fleet what the site files say. Run it again to go on after anything.

    If another engine is at work, this queues what you want and follows it. Exit code 4 if nodes failed,
    5 if some did.
    """
    from controller.app.apply import submit
    from controller.app.plan import make_plan
    from controller.app.preparing import plan_preparation
    from inventory.resolve import load_files

    texts = read_texts(files or default_files(app))
    resolved, picked = load_files(texts), selection(**chosen)
    with app.services() as services:
        began = time.monotonic()
        made = on_loop(
            services, lambda: (plan_preparation if until else make_plan)(services, resolved, picked)
        )
        if not app.json:
            show(made.to_dict())
        if not made.changes and not made.cluster_changes:
            if made.refusals:
                return _refused(app, made)
            if not app.json:
                click.echo("Reading every node afresh…")
        else:
            confirm(_question(made), yes=yes)
        run_id = submit(services, texts, picked, actor=app.actor(), until=until or "")
        names = [node.name for node in picked.pick(resolved.fleet)]
        code = watch(app, services, run_id, names, began, refused=len(made.refusals))
    return EXIT_PARTLY if made.refusals and code == EXIT_DONE else code


def _question(made: Any) -> str:
    lost = [f"{node.name} ({node.disk.path}: {'; '.join(node.disk.contents)})" for node in made.destroys]
    if not lost:
        return "Do this?"
    return clean_block("This destroys what is on:\n  " + "\n  ".join(lost)) + "\nDo this?"


def _refused(app: App, made: Any) -> int:
    if app.json:
        line({"state": "refused", "changes": 0, "refused": len(made.refusals)})
    return EXIT_INPUT


def watch(
    app: App, services: Any, run_id: str, names: Sequence[str], began: float, *, refused: int = 0
) -> int:
    """Runs or follows `run_id` with live progress; prints how it ended; returns the exit code.

    `refused` is how many refusals its plan had: they are part of the result, too.
    """
    from controller.app.apply import run_or_follow

    shown = follower(app, services.queries, names, after=max(0, services.queries.last_event_id() - 1))
    try:
        ended = on_loop(services, lambda: run_or_follow(services, run_id, shown.update))
    finally:
        shown.close()
    seconds = time.monotonic() - began
    if app.json:
        line(
            {
                "run": run_id,
                "state": ended.state,
                "seconds": round(seconds, 1),
                "refused": refused,
                "summary": dict(ended.summary),
            }
        )
    else:
        _summary(ended.state, ended.summary, seconds)
        if refused:
            click.echo(f"  {refused} refused, for the reasons in the plan above")
    return STATE_CODES.get(ended.state, EXIT_BUG)


def _summary(state: str, summary: Mapping[str, Any], seconds: float) -> None:
    failed: Mapping[str, Any] = summary.get("failed") or {}
    click.echo(
        f"{clean(state)} in {human_seconds(seconds)}: {summary.get('done', 0)} done, {len(failed)} failed"
    )
    if summary.get("what"):
        click.echo(f"  {clean_block(summary['what'])}")
    for subject, problem in failed.items():
        click.echo(f"  {click.style('✖', fg='red')} {clean(subject)}: {clean_block(problem)}")
    if failed:
        click.echo("  → mend what is named above and run it again: what is done stays done")
