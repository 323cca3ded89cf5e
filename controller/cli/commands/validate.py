"""`cto validate`: reads the site files and says what is wrong with them. Contacts nothing, stores nothing."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, command, load_site_files, pass_app, site_files
from controller.cli.output import document
from controller.cli.text import clean_block
from inventory.calendar import SiteCalendar
from inventory.errors import Problem
from inventory.wording import count

if TYPE_CHECKING:
    from inventory.resolve import Resolved


@command("validate", example="cto validate -f examples/ha-site.yaml")
@site_files
@pass_app
def validate(app: App, files: tuple[Path, ...]) -> None:
    """Check site files; every problem comes with file, line, path and fix."""
    resolved = load_site_files(app, files)
    fleet = resolved.fleet
    found = [*resolved.warnings, *_scarcities(resolved, app.now())]
    if app.json:
        warnings = [
            {name: getattr(w, name) for name in ("file", "line", "path", "what", "fix")} for w in found
        ]
        counts = {"sites": len(fleet.sites), "clusters": len(fleet.clusters), "nodes": len(fleet.nodes)}
        document({"ok": True, **counts, "warnings": warnings})
        return
    for warning in found:
        click.echo(f"{click.style('warning:', fg='yellow')} {clean_block(warning)}", err=True)
    click.echo(
        f"good: {count(len(fleet.sites), 'site')}, {count(len(fleet.clusters), 'cluster')}, "
        f"{count(len(fleet.nodes), 'node')}"
    )


def _scarcities(resolved: "Resolved", now: datetime) -> list[Problem]:
    """Sites whose windows and blackouts leave little time. Sites with the same calendar are told together."""
    if not resolved.windows:
        return []
    from controller.app.windows import site_calendars
    from controller.cli.window_state import scarcity_text

    alike: dict[object, list[SiteCalendar]] = {}
    for each in site_calendars(resolved.fleet, resolved.windows, resolved.blackouts):
        if each.windows:
            names = (*(w.name for w in each.windows), *(b.name for b in each.blackouts))
            alike.setdefault((each.timezone, names), []).append(each)
    found = []
    for first, *others in alike.values():
        said = scarcity_text(first, now)
        origin = resolved.explain(f"sites/{first.site}/timezone")[-1]
        more = f" (and {count(len(others), 'site')} like it)" if others else ""
        fix = "add days or hours to its windows, or accept that updates wait for each other"
        if said:
            path = f"sites/{first.site}"
            found.append(Problem(file=origin.file, line=origin.line, path=path, what=said + more, fix=fix))
    return found
