"""May whoever asks do this at that site? For acts whose site is found while the request is looked at."""

from inventory.errors import UnknownName
from web.access.grants import Level, labels_of
from web.access.guard import who
from web.access.ports import NotAllowed
from web.ports import Queries, SiteView


def may_at(level: Level, site: str, queries: Queries) -> None:
    """Raises unless they may; "" is the whole fleet. `queries` are those of the request, so that a site which
    they may not see looks like one that is not there.
    """
    labels = labels_of(site, site_named(site, queries).labels) if site else None
    if not who().may(level, labels):
        where = f"at site {site}" if site else "for the whole fleet"
        raise NotAllowed(
            f"this needs the grant {level.word} {where}", fix="ask an administrator: cto user grant"
        )


def site_named(name: str, queries: Queries) -> SiteView:
    for site in queries.sites():
        if site.name == name:
            return site
    raise UnknownName(f"there is no site {name!r}", fix="see the list of sites")
