"""`cto facts`: gather what machines are, show it, compare two times. Only pinned machines are contacted."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Noun, complete_nodes, pass_app, selectors
from controller.cli.base import command as verb
from controller.cli.loop import on_loop
from controller.cli.output import document, human_bytes, line
from controller.cli.picking import pick
from controller.cli.text import clean, clean_block
from inventory.errors import FleetError, OperatorError
from inventory.lifecycle import NodeState
from web.ports import EXIT_DONE, EXIT_NODE, EXIT_PARTLY

_BATCH = 32  # answers stored together
_PATIENCE = 0.5  # seconds after which fewer are stored too


@verb("gather", example="cto facts gather --site berlin")
@selectors
@pass_app
def gather(app: App, /, **chosen: tuple[str, ...]) -> int:
    """Ask machines what they are, one round trip each, and keep the answer."""
    with app.services() as services:
        rows = pick(services.store.nodes(), **chosen)
        pinned = [row for row in rows if not _left_out(row)]
        for row in rows:
            if (why := _left_out(row)) and not app.json:
                click.echo(f"{clean(row.name)}: left out, {why}", err=True)
        if not pinned:
            raise OperatorError(
                "none of these can be asked: facts come by SSH, from pinned machines that do not run Talos",
                fix="pin one: cto node add NAME --address A --confirm-words;"
                " or see what is known: cto facts show NAME",
            )
        good = on_loop(services, lambda: _gather(app, services, pinned))
    if good == len(pinned):
        return EXIT_DONE
    return EXIT_PARTLY if good else EXIT_NODE


def _left_out(row: Any) -> str:
    """Why a machine is not asked; empty if it is."""
    if row.state in (NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED, NodeState.READY):
        return "it runs Talos, which has no SSH"
    return "" if row.host_key else "its host key is not pinned"


async def _gather(app: App, services: Any, rows: Sequence[Any]) -> int:
    """How many answered."""
    from controller.app.gather import gather as ask
    from controller.app.ssh_port import Target
    from facts.registry import machine_facts

    targets = [Target(r.name, r.address, r.host_key, r.ssh_port, r.ssh_user, r.jump) for r in rows]
    good, waiting, since = 0, list[tuple[str, Any]](), services.clock.monotonic()
    try:
        async for answer in ask(services.ssh, targets, machine_facts(), clock=services.clock):
            if answer.facts is None:
                name = answer.target.name
                _say_failed(app, name, answer.error or FleetError("no answer", where=name))
                continue
            good += 1
            waiting.append((answer.target.name, answer.facts))
            if len(waiting) >= _BATCH or services.clock.monotonic() - since > _PATIENCE:
                _keep(app, services.store, waiting)
                waiting, since = [], services.clock.monotonic()
    finally:
        _keep(app, services.store, waiting)
    return good


def _keep(app: App, store: Any, taken: Sequence[tuple[str, Any]]) -> None:
    """Stores answers together: one wait for the disk."""
    rows = [(name, found.to_dict(), found.digest()) for name, found in taken]
    for (name, found), (_, _, digest), changed in zip(taken, rows, store.save_all_facts(rows), strict=True):
        problems = {problem.name: problem.what for problem in found.problems}
        if app.json:
            line({"node": name, "changed": changed, "digest": digest, "problems": problems})
        else:
            missing = f", without {', '.join(clean(fact, 40) for fact in problems)}" if problems else ""
            click.echo(f"{clean(name)}: {'new or changed' if changed else 'as before'}{missing}")


def _say_failed(app: App, name: str, error: FleetError) -> None:
    if app.json:
        line({"node": name, "error": {"slug": error.slug, "what": error.what, "fix": error.fix}})
    else:
        click.echo(f"{clean(name)}: {clean_block(error.what)}\n  → {clean_block(error.fix)}", err=True)


@verb("show", example="cto facts show berlin-cp-1")
@click.argument("name", shell_complete=complete_nodes)
@pass_app
def show(app: App, name: str) -> None:
    """Show the facts of a machine as last gathered, and how old they are."""
    with app.services() as services:
        taken = _taken(services.queries, name, 1)[0]
    if app.json:
        document(taken)
        return
    from facts.machine_model import hardware as model_of
    from facts.snapshot import Facts
    from web import present

    found = Facts.from_dict(_body(taken))
    click.echo(f"{clean(name)}, facts taken {present.age(str(taken.get('taken_at', '')), app.now())}")
    for label, value in _lines(model_of(found)):
        click.echo(f"  {label:<10} {clean(value, 160)}")
    for problem in found.problems:
        click.echo(
            f"  {click.style('unknown', fg='yellow')}    {clean(problem.name)}: {clean(problem.what, 160)}"
        )


def _lines(machine: Any) -> list[tuple[str, str]]:
    """A machine in words, one part a line."""
    cpu = machine.cpu
    lines = [
        ("machine", f"{machine.vendor} {machine.product}".strip() or machine.board or "unknown"),
        ("serial", machine.serial or "-"),
        ("cpu", f"{cpu.model or 'unknown'}, {cpu.sockets} x {cpu.cores} cores, {cpu.threads} threads"),
        ("arch", machine.arch or "unknown"),
        ("memory", human_bytes(machine.memory) + (" ECC" if machine.ecc else "")),
        ("firmware", f"{machine.firmware or 'unknown'}, Secure Boot {_yes(machine.secure_boot)}"),
        ("tpm", machine.tpm or "none"),
    ]
    for disk in machine.disks:
        holds = "; ".join(disk.contents) or "blank"
        lines.append(("disk", ", ".join([disk.path, disk.kind, human_bytes(disk.size), disk.model, holds])))
    for nic in machine.nics:
        speed = f" {nic.speed} Mbit/s" if nic.speed else ""
        link = f"link {_yes(nic.link)}{speed}"
        lines.append(("nic", ", ".join([nic.name, nic.mac, link, nic.driver, *nic.addresses])))
    return lines


def _yes(value: bool | None) -> str:
    return "unknown" if value is None else "on" if value else "off"


@verb("diff", example="cto facts diff berlin-cp-1")
@click.argument("name", shell_complete=complete_nodes)
@pass_app
def diff(app: App, name: str) -> None:
    """Show what changed between the last two different snapshots of a machine."""
    with app.services() as services:
        taken = _taken(services.queries, name, 2)
    changes = changes_between(taken[1], taken[0]) if len(taken) > 1 else []
    if app.json:
        document({"node": name, "changes": changes})
        return
    if not changes:
        from web import present

        since = present.age(str(taken[-1].get("taken_at", "")), app.now())
        click.echo(f"{clean(name)}: nothing changed since {since}")
    for change in changes:
        click.echo(f"{clean(change['path'])}\n  - {clean(change['before'])}\n  + {clean(change['after'])}")


def changes_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Path, before and after of what differs; None is what was or is not there."""
    from facts.snapshot import Facts
    from facts.snapshot import diff as compare

    found = compare(Facts.from_dict(_body(old)), Facts.from_dict(_body(new)))
    return [{"path": change.path, "before": change.before, "after": change.after} for change in found]


def _taken(queries: Any, name: str, limit: int) -> list[Mapping[str, Any]]:
    queries.node(name)  # an unknown name is an error of its own
    found = list(queries.facts(name, limit))
    if not found:
        raise OperatorError("no facts were gathered yet", where=name, fix=f"cto facts gather --node {name}")
    return found


def _body(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    body: Mapping[str, Any] = entry["body"]
    return body


def read_facts(path: Path) -> Any:
    """Facts from a file: what `cto facts show --output json` printed, or its body."""
    from facts.snapshot import Facts
    from facts.spec import FactError

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Facts.from_dict(data["body"] if isinstance(data, dict) and "body" in data else data)
    except (FactError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"these are no facts as JSON: {clean(error, 160)}"
        raise OperatorError(what, where=str(path), fix="use cto facts show NAME --output json") from error


facts = Noun("facts", help="Gather, show and compare what machines are.").add(gather, show, diff)
