"""The pages in the bar at the top: those that exist here and that the visitor may open."""

from dataclasses import dataclass

from flask import Flask, request, url_for

from web.access.grants import Principal
from web.access.guard import RULE, Rule

# Endpoint and title, in the order of the bar. A page that is not registered is not shown.
PAGES: tuple[tuple[str, str], ...] = (
    ("overview.page", "Fleet"),
    ("sites.page", "Sites"),
    ("clusters.page", "Clusters"),
    ("nodes.index", "Nodes"),
    ("pending.page", "Pending"),
    ("rollouts.page", "Rollouts"),
    ("calendar.page", "Calendar"),
    ("updates.page", "Updates"),
    ("events.page", "Events"),
    ("audit.page", "Audit"),
    ("settings.page", "Settings"),
)

# The same for the pages of Settings.
SETTINGS: tuple[tuple[str, str], ...] = (
    ("settings.page", "Accounts and tokens"),
    ("upkeep.notifications", "Notifications"),
    ("upkeep.license_page", "Licence"),
)


@dataclass(frozen=True, slots=True)
class Item:
    title: str
    href: str
    here: bool


def settings(app: Flask, principal: Principal | None) -> list[Item]:
    """None of them lies inside another."""
    found = items(app, principal, SETTINGS)
    return [Item(each.title, each.href, request.path == each.href) for each in found]


def items(app: Flask, principal: Principal | None, pages: tuple[tuple[str, str], ...] = PAGES) -> list[Item]:
    """Nothing for somebody who is not logged in."""
    if principal is None:
        return []
    found = []
    for endpoint, title in pages:
        view = app.view_functions.get(endpoint)
        rule = getattr(view, RULE, None)
        if isinstance(rule, Rule) and rule.level is not None and _may(principal, rule):
            href = url_for(endpoint)
            inside = href != "/" and request.path.startswith(f"{href}/")
            found.append(Item(title, href, request.path == href or inside))
    return found


def _may(principal: Principal, rule: Rule) -> bool:
    if rule.level is None:
        return True
    return principal.may(rule.level) if rule.whole else principal.may_somewhere(rule.level)
