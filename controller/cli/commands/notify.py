"""`cto notify`: who is told of what, by e-mail or webhook. Sends nothing but a test; `cto serve` does."""

import re
from pathlib import Path

import click

from controller.cli.base import App, Noun, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document, table
from controller.cli.text import clean
from inventory.errors import OperatorError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)


@verb(
    "add",
    example="cto notify add email ops --set host=mail.example.org --set from=cto@example.org"
    " --set to=ops@example.org --topic hands --topic paused",
)
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting; see cto notify kinds.")
@click.option("--topic", "topics", multiple=True, metavar="TOPIC", help="What it is told of. Default: all.")
@click.option("--secret-file", type=click.Path(path_type=Path), help="Its password or key: one line.")
@pass_app
def add(
    app: App, kind: str, name: str, pairs: tuple[str, ...], topics: tuple[str, ...], secret_file: Path | None
) -> None:
    """Tell somebody from now on. The same name again changes it."""
    from controller.app import notifying

    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name[:40]!r} can't be its name", fix="small letters, digits, dashes; at most 40"
        )
    settings = dict(_pair(text) for text in pairs)
    with app.services() as services:
        way = services.notifiers.get(kind)
        secret = read_text(secret_file).strip() if secret_file else ""
        wanted = way.needs_secret or bool(settings.get("user"))
        if not secret and wanted and not services.store.has_secret(f"notify/{name}"):
            secret = _ask(way.secret)
        complete = notifying.add(services, name, kind, settings, topics, secret, actor=app.actor())
    if app.json:
        document({"name": name, "kind": kind, "settings": dict(complete)})
    else:
        click.echo(f"{name} is told from now on; try it: cto notify test {name}")


@verb("list", example="cto notify list")
@pass_app
def list_notifiers(app: App) -> None:
    """Who is told of what, and what is wrong with it. Shows no secret."""
    with app.services() as services:
        rows = services.store.notifiers()
    if app.json:
        from dataclasses import asdict

        document([asdict(row) for row in rows])
    elif not rows:
        click.echo("nobody is told of anything; see `cto notify add --help`")
    else:
        shown = [
            (row.name, row.kind, ", ".join(row.topics), str(row.waiting), clean(row.problem) or "well")
            for row in rows
        ]
        table(("NAME", "KIND", "TOPICS", "WAITING", "STATE"), shown)


@verb("kinds", example="cto notify kinds")
@pass_app
def kinds(app: App) -> None:
    """The ways of telling people, and the settings of each; the topics there are."""
    from controller.core.topics import TOPICS

    with app.services() as services:
        ways = [services.notifiers.get(kind) for kind in services.notifiers.kinds()]
    if app.json:
        document({"kinds": {way.kind: dict(way.fields) for way in ways}, "topics": list(TOPICS)})
        return
    for way in ways:
        click.echo(way.kind + (f"  (secret: {way.secret})" if way.secret else ""))
        for key, text in way.fields.items():
            click.echo(f"  {key:8} {text}")
    click.echo(f"topics: {', '.join(TOPICS)}")


@verb("test", example="cto notify test ops")
@click.argument("name", metavar="NAME")
@pass_app
def test(app: App, name: str) -> None:
    """Send one message now, and say what went wrong."""
    from controller.app import notifying

    with app.services() as services:
        notifying.try_out(services, name)
    if app.json:
        document({"name": name, "sent": True})
    else:
        click.echo(f"{name}: handed over")


@verb("remove", example="cto notify remove ops")
@click.argument("name", metavar="NAME")
@pass_app
def remove(app: App, name: str) -> None:
    """Tell it nothing any more. What waits for it is dropped, its secret too."""
    with app.services() as services:
        services.store.drop_notifier(name, actor=app.actor())
    if app.json:
        document({"name": name, "removed": True})
    else:
        click.echo(f"{name} is told of nothing any more")


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise OperatorError(f"--set {text[:40]!r} is not KEY=VALUE", fix="as in --set host=mail.example.org")
    return key, value


def _ask(what: str) -> str:
    import sys

    if not sys.stdin.isatty():
        raise OperatorError(
            f"{what} is needed, and there is no terminal to ask", fix="give --secret-file FILE"
        )
    answer: str = click.prompt(what[0].upper() + what[1:], hide_input=True, err=True)
    return answer


notify = Noun("notify", help="Tell people what happens: e-mail, webhook.").add(
    add, list_notifiers, kinds, test, remove
)
