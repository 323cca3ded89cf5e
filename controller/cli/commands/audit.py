"""`cto audit verify`: is the chain of audit rows whole? Changes nothing."""

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, plain
from inventory.errors import StoreError


@verb("verify", example="cto audit verify")
@pass_app
def verify(app: App) -> None:
    """Check the hash chain of the audit log; names the first row that does not fit."""
    with app.services() as services:
        report = services.store.audit_verify()
    if app.json:
        document(plain(report))
    if not report.ok:
        raise StoreError(
            f"the audit log was changed: {report.why}",
            fix="keep this file as evidence, and restore a backup made before: cto store restore FILE",
        )
    if not app.json:
        click.echo(
            f"whole: {report.rows} rows. Note the last one elsewhere: {report.head.seq} {report.head.hash}"
        )
        click.echo("  → only that can show later that the newest rows were cut off")


audit = Noun("audit", help="Verify the audit log.").add(verify)
