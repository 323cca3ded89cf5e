"""The options of `cto iso build` as a request: what the image's own layer holds, and what travels with it.

Builds nothing. What was made for an image that is then not built is taken back by `Prepared.undo`.
"""

import asyncio
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.cli.base import App, default_files, read_text, read_texts
from controller.cli.text import clean
from inventory.errors import OperatorError
from inventory.fleet import Fleet, Node
from inventory.resolve import load_files
from iso.build.payload import Carried
from iso.render.site import SiteLayer, StaticAddress, check

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """`finish` is called once the image is there, `undo` if it never will be. `notes`: what to know of it."""

    layer: SiteLayer
    carried: tuple[Carried, ...] = ()
    notes: tuple[str, ...] = ()
    finish: Callable[[], None] = field(default=lambda: None)
    undo: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class _About:
    """What the site files say, narrowed to what the image is for."""

    texts: Mapping[str, str]
    fleet: Fleet
    site: str
    node: Node | None

    @property
    def nodes(self) -> tuple[Node, ...]:
        at_site = tuple(node for node in self.fleet.nodes.values() if node.site == self.site)
        return (self.node,) if self.node else at_site


def prepare(
    app: App, services: Any, options: Mapping[str, Any], *, before: Callable[[], None], tell: Tell
) -> Prepared:
    """Checks before it makes anything: a token or a key for an image that is refused would be litter.

    `before` is called when the options are good and nothing was made or fetched yet.
    """
    if options["enroll"]:
        from controller.app.prepared import token_id

        token_id(options["enroll"])
    about = _about(app, options)
    dns = tuple(options["dns"])
    common: dict[str, Any] = {
        "authorized_keys": tuple(
            dict.fromkeys([services.ssh_public_key.strip(), *lines_of(options["keys"])])
        ),
        "user_ca": tuple(lines_of(options["cas"])),
        "addresses": tuple(static(text, dns) for text in options["addresses"]),
        "locked": options["locked"],
        "countdown": options["countdown"],
        "serial": options["serial"],
        "site": about.site if about else "",
        "site_file": _site_file(about, options) if about else "",
    }
    check(SiteLayer(**common))
    before()
    rest: dict[str, Any] = {}
    if options["air_gapped"] and about is not None:
        rest["carried"], common["pins"], rest["notes"] = _carried(services, about, options, tell)
    if options["node"] and about and about.node and not options["enroll"]:
        return _own_image(app, services, about.node, common, rest)
    if options["enroll"] or (about is not None and options["enrolling"]):
        return _enrolling(app, services, about, options, common, rest)
    return Prepared(SiteLayer(**common), **rest)


def _about(app: App, options: Mapping[str, Any]) -> _About | None:
    name = options["node"]
    if not (options["files"] or name or options["air_gapped"]):
        return None
    texts = read_texts(options["files"] or default_files(app))
    fleet = load_files(texts).fleet
    node = fleet.nodes.get(name) if name else None
    if name and node is None:
        raise OperatorError(f"no site file has a node {clean(name)!r}", fix="cto validate lists them")
    site = node.site if node else options["for_site"] or next(iter(fleet.sites), "")
    if not node and not options["for_site"] and len(fleet.sites) != 1:
        shown = ", ".join(fleet.sites) or "none"
        raise OperatorError(
            f"the site files have the sites {shown}, and an image is for one", fix="name it with --for-site"
        )
    if site not in fleet.sites:
        raise OperatorError(f"no site file has a site {clean(site)!r}", fix="cto validate lists them")
    return _About(texts, fleet, site, node)


def _site_file(about: _About, options: Mapping[str, Any]) -> str:
    """A node that the controller knows beforehand needs none, unless it is to be set up by itself."""
    from inventory.excerpt import of_site

    needless = options["node"] and not (options["enroll"] or options["air_gapped"])
    return "" if needless else of_site(about.texts, about.site)


def _own_image(app: App, services: Any, node: Node, common: dict[str, Any], rest: dict[str, Any]) -> Prepared:
    """For one node, whose host key is made here and trusted once the image is there."""
    from controller.adapters.ssh_keys import new_key

    if not node.address:
        fix = "write its address into the site file (a static one, or one that DHCP reserves for it)"
        raise OperatorError("its address is not known beforehand", where=node.name, fix=fix)
    private, public = new_key(node.name)

    def pin() -> None:
        services.store.pin(
            node.name,
            address=node.address,
            port=node.ssh_port,
            user=node.ssh_user,
            jump=node.jump,
            host_key=public,
            site=node.site,
            cluster=node.cluster,
            role=node.role,
            actor=app.actor(),
            reason="host key made for its own image",
            replace=True,
        )

    return Prepared(SiteLayer(**common, node=node.name, host_key=private), **rest, finish=pin)


def _enrolling(
    app: App,
    services: Any,
    about: _About | None,
    options: Mapping[str, Any],
    common: dict[str, Any],
    rest: dict[str, Any],
) -> Prepared:
    """For a machine that asks to be taken."""
    from controller.app.prepared import Wanted, enrollment, withdraw
    from controller.cli.commands.token import _span as span

    wanted = Wanted(
        site=about.site if about else "",
        role=options["role"] or (about.node.role if about and about.node else ""),
        token=options["enroll"] or "",
        life=span(options["expires"]),
        addresses=tuple(options["controllers"]),
    )
    site, made = enrollment(services, wanted, about.fleet if about else None, actor=app.actor())
    layer = SiteLayer(**{**common, "site": site}, enroll=made)
    return Prepared(layer, **rest, undo=lambda: withdraw(services, wanted, made, actor=app.actor()))


def _carried(
    services: Any, about: _About, options: Mapping[str, Any], tell: Tell
) -> tuple[tuple[Carried, ...], dict[str, str], tuple[str, ...]]:
    from controller.app.carried import carried, unmet

    found = asyncio.run(carried(services, about.fleet, about.nodes, arch=options["arch"], progress=tell))
    clusters = [about.fleet.clusters[name] for name in dict.fromkeys(node.cluster for node in about.nodes)]
    items = tuple(Carried(item.source, item.place) for item in found)
    return items, {item.url: item.sha256 for item in found}, tuple(unmet(clusters, about.fleet.nodes))


def lines_of(files: tuple[Path, ...]) -> list[str]:
    """The keys of public key files, without comments."""
    rows = [row.strip() for file in files for row in read_text(file).splitlines()]
    return [row for row in rows if row and not row.startswith("#")]


def static(text: str, dns: tuple[str, ...]) -> StaticAddress:
    address, gateway, mac = (*text.split(","), "", "")[:3]
    return StaticAddress(address.strip(), gateway.strip(), dns, mac.strip().lower())


def next_command(path: Path) -> str:
    return f"cto iso write --image {shlex.quote(str(path))} /dev/…"
