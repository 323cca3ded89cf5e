"""`cto enroll`: for how long machines may ask to join, who asks, and who is let in. Speaks no protocol."""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli import enroll_view as view
from controller.cli.base import App, Noun, complete_nodes, load_site_files, pass_app
from controller.cli.base import command as verb
from controller.cli.enroll_open import elsewhere, here
from controller.cli.output import document, plain
from controller.cli.text import clean
from inventory.errors import BusyError, OperatorError, RefusedError
from roles.enrollment.invitation import PORT
from web.ports import EXIT_DONE

if TYPE_CHECKING:
    from web.ports import EnrollmentView

_LONGEST = timedelta(hours=24)
_who = click.argument("who", nargs=-1, required=True, metavar="ID|WORDS")


@verb(
    "open",
    example="cto enroll open --for 60m --interface eth0\ncto enroll open --interface 10.0.0.5 --port 7443",
)
@click.option(
    "--for", "span", default="60m", show_default=True, metavar="TIME", help="Then it closes itself."
)
@click.option(
    "--interface", "interfaces", multiple=True, metavar="NAME", help="Interface or address; all: every one."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free one."
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Take over site files first.",
)
@pass_app
def open_(app: App, /, *, span: str, interfaces: tuple[str, ...], port: int, files: tuple[Path, ...]) -> int:
    """Let machines with a token ask to join. Shows them until Ctrl-C; if `cto serve` runs, it listens."""
    from controller.app.enrollment.identity import pin
    from controller.store.lock import HostLock

    life = _span(span)
    with app.services() as services:
        if files:
            services.store.declare(load_site_files(app, files).fleet, actor=app.actor())
        named = tuple(interfaces) or tuple(services.enrollment.addresses(()))
        services.enrollment.addresses(named)
        key = bytes.fromhex(pin(services))
        until = services.clock.now() + life
        services.store.open_enrollment(until=until, interfaces=named, port=port, actor=app.actor())
        try:
            lock = HostLock.acquire(services.home)
        except BusyError:
            elsewhere(app, services, key)
            return EXIT_DONE
        with lock:
            here(app, services, key)
    return EXIT_DONE


@verb("close", example="cto enroll close")
@pass_app
def close(app: App) -> None:
    """Let no machine ask any more. Who waits can still be approved."""
    with app.services() as services:
        closed = services.store.close_enrollment(actor=app.actor(), reason="closed by its operator")
    if app.json:
        document({"closed": closed})
    else:
        click.echo("closed" if closed else "it was closed already")


@verb("list", example="cto enroll list\ncto enroll list --output json")
@click.option("--all", "everything", is_flag=True, help="Those that were decided long ago, too.")
@pass_app
def list_(app: App, /, *, everything: bool) -> None:
    """Who asked to join, with the words on their consoles; and who was refused, with the reason."""
    from controller.store.base import iso

    now = app.now()
    with app.services() as services:
        queries = services.queries
        window = queries.enrollment_window()
        rows = [
            row for row in queries.enrollments() if everything or _recent(row, iso(now - timedelta(days=1)))
        ]
        refused = queries.enrollment_refusals()
    if app.json:
        body = {
            "state": view.state_of(window, iso(now)),
            "window": plain(window),
            "machines": [view.as_json(row) for row in rows],
            "refused": plain(refused),
        }
        document(body)
        return
    view.show_window(window, iso(now), now)
    view.show_enrollments(rows, now)
    view.show_refusals(refused, now)


def _recent(row: "EnrollmentView", since: str) -> bool:
    return row.state == "pending" or row.decided_at > since


@verb(
    "approve",
    example="cto enroll approve 3f9a6c1e\n"
    "cto enroll approve false smart nation mobile dial flag --as berlin-w-1",
)
@_who
@click.option("--as", "name", default="", metavar="NODE", help="Which node.", shell_complete=complete_nodes)
@click.option("--address", default="", metavar="ADDR[:PORT]", help="Where its SSH server answers.")
@click.option("--words", metavar="WORDS", help="The words on its screen, for scripts.")
@click.option("--accept-conflict", is_flag=True, help="It is the right one although it is flagged.")
@pass_app
def approve(
    app: App,
    /,
    *,
    who: tuple[str, ...],
    name: str,
    address: str,
    words: str | None,
    accept_conflict: bool,
) -> None:
    """Let a machine in: it becomes a node, and its SSH host key is pinned. Its words, typed, are compared."""
    from controller.app.enrollment import decide
    from controller.cli.pinning import check_name
    from inventory.reach import split_address

    if name:
        check_name(name)
    host, port = split_address(address) if address else ("", 0)
    with app.services() as services:
        row = decide.find(services, " ".join(who))
        if app.server:
            _approve_there(app, services, row, " ".join(who), words, name, address, accept_conflict)
            return
        if row.state == "pending" and len(who) == 1 and " " not in who[0].strip():
            _compare(services, row, words, name)
        done = decide.approve(
            services,
            row.id,
            actor=app.actor(),
            name=name,
            address=host,
            port=port if ":" in address else 0,
            accept_conflict=accept_conflict,
        )
    if app.json:
        document(
            {"id": row.id, "node": done.node, "address": done.address, "port": done.port, "why": done.why}
        )
    else:
        click.echo(f"{row.id} is {done.node}, at {done.address}:{done.port} ({clean(done.why)})")
        if done.address != row.address:
            click.echo(f"  it asked from {clean(row.address)}; the site file's address is used, or --address")
        click.echo("  → cto apply installs it")


def _approve_there(
    app: App,
    services: Any,
    row: "EnrollmentView",
    typed: str,
    words: str | None,
    name: str,
    address: str,
    accept_conflict: bool,
) -> None:
    """Over the API: the words that somebody read from the machine's screen travel with it."""
    if address:
        raise OperatorError(
            "--address is for the controller's own computer", fix="leave it out, or log in there"
        )
    read = words if words is not None else typed
    if " " not in read.strip():
        raise RefusedError(
            "the words on the machine's own screen are needed", fix='read them there and pass --words "…"'
        )
    node = services.store.admit(row.id, words=read, name=name, accept_conflict=accept_conflict)
    if app.json:
        document({"id": row.id, "node": node})
    else:
        click.echo(f"{row.id} is {clean(node)}\n  → cto apply, on the controller's computer, installs it")


def _compare(services: Any, row: "EnrollmentView", words: str | None, name: str) -> None:
    """The operator compares, or the machine stays out."""
    from controller.app.enrollment import decide
    from inventory.words import same_words

    if words is not None:
        if not same_words(words, row.words):
            raise RefusedError(
                f"the words differ: {row.id} has {row.words}",
                fix="if you typed them right, it is another machine than the one you look at: do not go on",
            )
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            "somebody has to compare the words, and there is no terminal",
            fix='read them from the machine\'s screen and pass --words "…"',
        )
    bound = decide.binding(services, row, name)
    click.echo(f"{row.id} at {clean(row.address)}, {view.hardware(row)}, would be {bound.node}.", err=True)
    click.echo(f"Its words:\n\n    {row.words}\n", err=True)
    if not click.confirm("Does its own screen show the same, word for word?", default=False, err=True):
        raise RefusedError("not approved: the words were not confirmed", fix=f"cto enroll reject {row.id}")


@verb("reject", example='cto enroll reject 3f9a6c1e --reason "not ours"\ncto enroll reject 3f9a6c1e --again')
@_who
@click.option("--reason", default="rejected by the operator", help="Why; kept in the audit log.")
@click.option("--again", is_flag=True, help="Give its token's use back: the machine has to begin anew.")
@pass_app
def reject(app: App, /, *, who: tuple[str, ...], reason: str, again: bool) -> None:
    """Turn a machine away."""
    from controller.app.enrollment import decide

    with app.services() as services:
        row = decide.find(services, " ".join(who))
        decide.reject(services, row.id, actor=app.actor(), reason=reason, again=again)
    if app.json:
        document({"id": row.id, "rejected": True, "use_returned": again})
    else:
        click.echo(f"{row.id} is rejected" + (f"; token {row.token} is good for it again" if again else ""))


@verb("forget", example='cto enroll forget berlin-w-1 --reason "started anew after a power cut"')
@click.argument("node", shell_complete=complete_nodes)
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@pass_app
def forget(app: App, /, *, node: str, reason: str) -> None:
    """Let a node's machine come with new keys once, within a day. Its pin stays until that is approved."""
    with app.services() as services:
        services.store.forget_enrollment(node, actor=app.actor(), reason=reason)
    if app.json:
        document({"node": node, "forgotten": True})
    else:
        click.echo(f"the machine of {clean(node)} may enrol again, with new keys")


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mh])", text.strip(), re.ASCII)
    life = int(found[1]) * timedelta(minutes=60 if found[2] == "h" else 1) if found else timedelta(0)
    if not timedelta(0) < life <= _LONGEST:
        raise OperatorError(
            f"--for: {text[:20]!r} is not a time to be open", fix="write 60m or 8h; at most 24h"
        )
    return life


enroll = Noun("enroll", help="Let machines join: open, list, approve, reject.").add(
    open_, close, list_, approve, reject, forget
)
