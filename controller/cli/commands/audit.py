"""`cto audit`: who did what, and is the chain of rows whole? Writes nothing but the file of `export`."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.files import new_file
from controller.cli.output import document, line, plain
from controller.cli.text import clean
from inventory.errors import StoreError

if TYPE_CHECKING:
    from controller.wiring import Wiring
    from web.ports import AuditView, Records

_PIECE = 500


@verb("list", example="cto audit list --search 'freeze berlin'")
@click.option("--search", default="", metavar="WORDS", help="Only rows that have all of these words.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many of the newest."
)
@pass_app
def list_rows(app: App, /, *, search: str, limit: int) -> None:
    """Show the newest rows: who did what to which thing, and why; json gives one document per line."""
    with app.services() as services:
        none = True
        for row in islice(_rows(_records(services), search), limit):
            none = False
            _show(app, row)
    if none and not app.json:
        click.echo("nothing fits" if search else "nothing was done yet", err=True)


@verb("export", example="cto audit export --out audit.jsonl")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new file; one JSON document per row."
)
@click.option("--search", default="", metavar="WORDS", help="Only rows that have all of these words.")
@pass_app
def export(app: App, /, *, out: Path, search: str) -> None:
    """Write every row, the newest first, into a file that only you can read."""
    with app.services() as services, new_file(out) as file:
        count = 0
        for row in _rows(_records(services), search):
            count += 1
            file.write(json.dumps(plain(row)).encode() + b"\n")
    if app.json:
        document({"file": str(out), "rows": count})
    else:
        click.echo(f"{count} rows in {out}")


@verb("verify", example="cto audit verify --noted '42 9f86d081884c7d65…'")
@click.option("--noted", default="", metavar="'ROW HASH'", help="A last row that you noted elsewhere before.")
@pass_app
def verify(app: App, /, *, noted: str) -> None:
    """Check the hash chain of the audit log; names the first row that does not fit."""
    with app.services() as services:
        report = _records(services).audit_check(noted=noted)
    if app.json:
        document(plain(report))
    if not report.ok:
        raise StoreError(
            f"the audit log was changed: {report.why}",
            fix="keep this file as evidence, and restore a backup made before: cto store restore FILE",
        )
    if not app.json:
        also = ", and with the row that you noted" if noted else ""
        click.echo(
            f"whole: {report.rows} rows fit together{also}. Note the last one elsewhere: {report.head}"
        )
        click.echo("  → only that can show later that the newest rows were cut off: cto audit verify --noted")


def _records(services: "Wiring") -> "Records":
    from controller.store.records import StoreRecords

    return StoreRecords(services.home, services.queries)


def _rows(records: "Records", search: str) -> "Iterator[AuditView]":
    before = 0
    while page := records.audit(search=search, before=before, limit=_PIECE):
        yield from page
        before = page[-1].seq


def _show(app: App, row: "AuditView") -> None:
    if app.json:
        line(plain(row))
        return
    at = clean(row.at, 32).replace("T", " ")[:19]
    why = f"  ({clean(row.reason, 120)})" if row.reason else ""
    head = f"{row.seq:>6}  {at}  {clean(row.actor, 40):<16}"
    click.echo(f"{head}  {click.style(clean(row.action, 40), bold=True)}  {clean(row.object, 80)}{why}")


audit = Noun("audit", help="Read, take away and verify the audit log.").add(list_rows, export, verify)
