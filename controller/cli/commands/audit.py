"""`cto audit verify`: is the chain of audit rows whole? Changes nothing."""

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document
from inventory.errors import StoreError


@verb("verify", example="cto audit verify")
@pass_app
def verify(app: App) -> None:
    """Check the hash chain of the audit log; names the first row that does not fit."""
    with app.services() as services:
        report = services.store.audit_verify()
    if app.json:
        document({"ok": report.ok, "rows": report.rows, "first_bad": report.first_bad})
    if not report.ok:
        raise StoreError(
            f"the audit log was changed: row {report.first_bad} does not fit the chain",
            fix="keep this file as evidence, and restore a backup made before: cto store restore FILE",
        )
    if not app.json:
        click.echo(f"whole: {report.rows} rows. Only a copy kept elsewhere can show that the newest rows were cut off.")


audit = Noun("audit", help="Verify the audit log.").add(verify)
