"""`cto schema`: JSON Schema of every kind of site document, for editors."""

from controller.cli.base import App, command, pass_app
from controller.cli.output import document


@command("schema", example="cto schema > fleet.schema.json")
@pass_app
def schema(_app: App) -> None:
    """Print one JSON Schema (2020-12) that covers all kinds; text and json are the same here."""
    from inventory.schema import json_schema

    document(json_schema())
