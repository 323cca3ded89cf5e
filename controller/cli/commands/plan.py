"""`cto plan`: shows what `cto apply` would do, and why. Changes nothing but what is known of machines."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from controller.cli.base import (
    App,
    command,
    load_site_files,
    pass_app,
    selection,
    selectors,
    site_files,
    until_prepared,
)
from controller.cli.loop import on_loop
from controller.cli.output import COLORS, document, human_bytes, human_seconds
from controller.cli.text import clean, clean_block
from controller.core.plan import BY_ROLLOUT
from inventory.wording import count
from web.ports import EXIT_DONE, EXIT_INPUT

_WIDTH = 86  # of wrapped lines, without their indentation
_GLUE = "\x1f"


@command("plan", example="cto plan -f site.yaml --cluster berlin")
@site_files
@selectors
@until_prepared
@click.option("--offline", is_flag=True, help="Ask no machine: plan from what is known, unconfirmed.")
@pass_app
def plan(
    app: App, /, files: tuple[Path, ...], offline: bool, until: str | None, **chosen: tuple[str, ...]
) -> int:
    """Show per node: role, disk and why, what is on it now, image, configuration, steps, refusals.

    Machines in the bootstrap environment are asked; a look at tools, disk and clock confirms that apply could
    begin. Exit code 2 if something was refused.
    """
    from controller.app.plan import Look, make_plan

    resolved = load_site_files(app, files)
    picked, look = selection(**chosen), Look.NONE if offline else Look.SHOW
    with app.services() as services:
        if until:
            from controller.app.preparing import plan_preparation

            made = on_loop(services, lambda: plan_preparation(services, resolved, picked, look))
        else:
            made = on_loop(services, lambda: make_plan(services, resolved, picked, look))
    if app.json:
        document(made.to_dict())
    else:
        show(made.to_dict())
    return EXIT_INPUT if made.refusals else EXIT_DONE


def show(plan: Mapping[str, Any]) -> None:
    """The plan for people; nodes with nothing to do are only counted."""
    idle = [node for node in plan["nodes"] if node["change"] == "nothing"]
    told: set[str] = set()
    for node in plan["nodes"]:
        if node["change"] != "nothing":
            _node(node, told)
    for cluster in plan["clusters"]:
        if cluster["steps"] or cluster["refusals"]:
            _cluster(cluster)
    for warning in plan["warnings"]:
        click.echo(f"{click.style('warning:', fg='yellow')} {clean_block(warning)}")
    if not plan["changes"] and not plan["refused"]:
        _nothing(plan["nodes"])
        return
    if idle:
        click.echo(f"Nothing to do for {len(idle)} of {count(len(plan['nodes']), 'node')}.")
    seconds = human_seconds(plan["expected_seconds"])
    refused = f", {plan['refused']} refused" if plan["refused"] else ""
    digest = clean(plan["digest"])[:12]
    click.echo(f"{plan['changes']} to change{refused}; expected duration {seconds}. Plan {digest}")


def _nothing(nodes: Sequence[Mapping[str, Any]]) -> None:
    """Versions are no matter of `apply`, but nobody is told that all is as the files say where it isn't."""
    apart = Counter(note for node in nodes for note in node["notes"] if note.endswith(BY_ROLLOUT))
    rest = len(nodes) - apart.total()
    said = f"{count(rest, 'node')} as the site files say" if rest else ""
    told = [f"{count(number, 'node')}: {clean(note, 200)}" for note, number in apart.items()]
    click.echo(f"Nothing to do: {'; '.join(filter(None, (said, *told)))}.")


_TONES = {"install": "good", "resume": "busy", "reconfigure": "busy", "refused": "bad"}


def _node(node: Mapping[str, Any], told: set[str]) -> None:
    change = click.style(clean(node["change"]), fg=COLORS.get(_TONES.get(node["change"], "idle")), bold=True)
    head = f"{clean(node['site'])} / {clean(node['cluster'])} / {click.style(clean(node['name']), bold=True)}"
    click.echo(f"{head}: {change} ({clean(node['role'])}, now {clean(node['state'])})")
    if node["disk"]:
        _disk(node["disk"])
    held = f"sha256 {node['image_sha256'][:16]} pinned" if node["image_sha256"] else ""
    image = " ".join(part for part in (clean(node["talos"]), clean(node["image"], 120), clean(held)) if part)
    for label, value in (
        ("image", image),
        ("profile", node["profile"]),
        ("config", node["config_digest"][:16]),
        ("reboot", node["reboot"]),
        ("look", node["confirmation"]),
    ):
        if value:
            _field(label, clean(value, 200))
    for patch in node["patches"]:
        _patch(patch, told)
    if node["config_diff"]:
        click.echo(_indent(clean_block(node["config_diff"]), 6))
    for note in node["notes"]:
        _field("note", clean(note, 400))
    _steps(node)
    _refusals(node)
    click.echo()


def _patch(patch: Mapping[str, Any], told: set[str]) -> None:
    """Who says it and what; of several nodes that have it from one place only the first is told what."""
    said = f"{patch['where']} {patch['text']}"  # a template's line says another thing at each site
    again = "; as above" if said in told else ""
    _field("patch", f"{clean(patch['layer'], 120)}  ({clean(patch['where'], 200)}{again})")
    if not again:
        click.echo(_indent(clean_block(patch["text"].rstrip()), 14))
    told.add(said)


def _disk(disk: Mapping[str, Any]) -> None:
    what = [
        clean(disk["path"]),
        clean(disk["model"]),
        human_bytes(disk["size"]),
        f"serial {clean(disk['serial'])}",
    ]
    _field("disk", "  ".join(what))
    _field("why", clean(disk["reason"], 400))
    if not disk["contents"]:
        _field("on it", "nothing")
        return
    lost = click.style("will be lost", fg="red", bold=True)
    _field("on it", f"{'; '.join(clean(item) for item in disk['contents'])}  ({lost})")


def _cluster(cluster: Mapping[str, Any]) -> None:
    head = f"{clean(cluster['site'])} / {click.style(clean(cluster['name']), bold=True)}"
    version, state = clean(cluster["kubernetes"]), clean(cluster["state"])
    click.echo(f"{head}: cluster of {cluster['nodes']}, Kubernetes {version}, now {state}")
    _field("endpoint", clean(cluster["endpoint"]))
    for image in cluster["images"]:
        _field("image", clean(image))
    for number, line in enumerate(cluster["path"]):
        wrapped = textwrap.wrap(clean(line, 400), _WIDTH)
        _field("" if number else "path", f"{number + 1}. {wrapped[0]}")
        for more in wrapped[1:]:
            click.echo(f"{'':<17}{more}")
    _steps(cluster)
    _refusals(cluster)
    click.echo()


def _steps(subject: Mapping[str, Any]) -> None:
    """The steps in order, `!` before those that change something that can't be taken back."""
    if not subject["steps"]:
        return
    total = human_seconds(sum(step["seconds"] for step in subject["steps"]))
    each = [
        f"{'! ' if step['disruptive'] else ''}{clean(step['title'])} ({human_seconds(step['seconds'])})"
        for step in subject["steps"]
    ]
    glued = " · ".join(text.replace(" ", _GLUE) for text in each)  # so that only whole steps are wrapped
    lines = [line.replace(_GLUE, " ") for line in textwrap.wrap(glued, _WIDTH, break_long_words=False)]
    _field("steps", f"{len(subject['steps'])}, about {total}")
    for line in lines:
        click.echo(f"{'':<14}{line}")


def _refusals(subject: Mapping[str, Any]) -> None:
    for refusal in subject["refusals"]:
        click.echo(f"    {click.style('refused', fg='red', bold=True)}   {clean_block(refusal['reason'])}")
        click.echo(_indent(f"→ {clean_block(refusal['fix'])}", 14))


def _field(label: str, value: str) -> None:
    click.echo(f"    {label:<9} {value}")


def _indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.split("\n"))
