"""`cto iso`: builds the bootable image and writes it to a stick. The work itself is `iso.build`."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from controller.cli.base import (
    App,
    Noun,
    assume_yes,
    confirm,
    load_site_files,
    pass_app,
    read_text,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.output import human_bytes, line, plain
from controller.cli.text import clean
from inventory.errors import FleetError, OperatorError


@verb("build", example="cto iso build\ncto iso build --key ops.pub --static 10.0.0.5/24,10.0.0.1")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("cto.iso"),
    show_default=True,
    help="The image; SBOM and SHA256SUMS go beside it.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Let in this SSH public key too; the controller's own always is.",
)
@click.option(
    "--user-ca", "cas", multiple=True, type=click.Path(path_type=Path), help="Let in users it certifies."
)
@click.option("--static", "addresses", multiple=True, metavar="ADDR/LEN[,GW[,MAC]]", help="Instead of DHCP.")
@click.option("--dns", multiple=True, metavar="ADDRESS", help="Name servers for --static.")
@click.option(
    "--serial",
    default="ttyS0",
    show_default=True,
    help="Serial console; servers' serial-over-LAN may be ttyS1.",
)
@click.option(
    "--node", metavar="NAME", help="For this node only: it is trusted and installed without a word."
)
@click.option(
    "--countdown", type=click.IntRange(0, 3600), default=60, show_default=True, help="Seconds, for --node."
)
@site_files
@click.option("--locked", is_flag=True, help="No shell at the machine's console.")
@click.option("--firmware", is_flag=True, help="Add non-free firmware that many servers' network cards need.")
@click.option("--refresh", is_flag=True, help="Fetch today's packages instead of using the kept ones.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where packages are kept. Default: in the home."
)
@pass_app
def build(app: App, /, **options: Any) -> None:
    """Build the image that machines are started with: from stick, CD or virtual medium, BIOS or UEFI.

    The first build fetches about 150 MB through this machine's apt and takes minutes; later ones are quick.
    """
    from iso.build.image import Request
    from iso.build.image import build as make

    node = _node(app, options["node"], options["files"]) if options["node"] else None
    with app.services() as services:
        own = services.ssh_public_key
        cache = options["cache"] or services.home.root / "cache" / "iso"
        private, public = _host_key(node) if node else (b"", "")
        layer = _layer(own, options, private)
        request = Request(
            output=options["out"],
            cache=cache.absolute(),
            layer=layer,
            firmware=options["firmware"],
            refresh=options["refresh"],
            **_epoch(app),
        )
        with _progress(app) as report:
            made = make(request, report=report)
        if node:
            try:
                _pin(services, node, public, actor=app.actor())
            except FleetError:
                made.path.unlink()  # nobody would ever trust the key in it
                raise
    if app.json:
        line({"built": plain(made)})
        return
    click.echo(f"{made.path}  {human_bytes(made.size)}  in {made.seconds:g} s\nsha256 {made.sha256}")
    click.echo("It carries:\n" + "\n".join(f"  {clean(text)}" for text in made.contents))
    if made.secret:
        click.echo("This file is a secret: keep it as you keep a password, and delete it afterwards.")
    click.echo(f"  → cto iso write --image {shlex.quote(str(made.path))} /dev/…")


def _node(app: App, name: str, files: tuple[Path, ...]) -> Any:
    """The node as the site files have it; where it will answer must be known beforehand."""
    fleet = load_site_files(app, files).fleet
    node = fleet.nodes.get(name)
    if node is None:
        raise OperatorError(f"no site file has a node {clean(name)!r}", fix="cto validate lists them")
    if not node.address:
        fix = "write its address into the site file (a static one, or one that DHCP reserves for it)"
        raise OperatorError("its address is not known beforehand", where=name, fix=fix)
    return node


def _host_key(node: Any) -> tuple[bytes, str]:
    from controller.adapters.ssh_keys import new_key

    return new_key(node.name)


def _pin(services: Any, node: Any, public: str, *, actor: str) -> None:
    """Trusts the key that is in the image, and nothing else: it was made here."""
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
        actor=actor,
        reason="host key made for its own image",
        replace=True,
    )


def _layer(own: str, options: dict[str, Any], host_key: bytes) -> Any:
    from iso.render.site import SiteLayer

    dns = tuple(options["dns"])
    return SiteLayer(
        authorized_keys=tuple(dict.fromkeys([own.strip(), *_lines(options["keys"])])),
        user_ca=tuple(_lines(options["cas"])),
        addresses=tuple(_static(text, dns) for text in options["addresses"]),
        locked=options["locked"],
        node=options["node"] or "",
        host_key=host_key,
        countdown=options["countdown"],
        serial=options["serial"],
    )


def _lines(files: tuple[Path, ...]) -> list[str]:
    """The keys of public key files, without comments."""
    rows = [row.strip() for file in files for row in read_text(file).splitlines()]
    return [row for row in rows if row and not row.startswith("#")]


def _static(text: str, dns: tuple[str, ...]) -> Any:
    from iso.render.site import StaticAddress

    address, gateway, mac = (*text.split(","), "", "")[:3]
    return StaticAddress(address.strip(), gateway.strip(), dns, mac.strip().lower())


def _epoch(app: App) -> dict[str, int]:
    text = app.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not text.isdigit():
        raise OperatorError(f"{text!r} is no time", where="SOURCE_DATE_EPOCH", fix="give seconds since 1970")
    return {"epoch": int(text)} if text else {}


@contextmanager
def _progress(app: App) -> Iterator[Callable[[Any], None]]:
    """One line that changes on a terminal, a line a step elsewhere, JSON lines for programs."""
    live = sys.stderr.isatty() and app.environ.get("TERM", "") != "dumb" and not app.json
    last = ""

    def tell(item: Any) -> None:
        nonlocal last
        if app.json:
            line({"step": item.step, "text": item.text, "done": item.done, "total": item.total})
        elif live:
            start = "\n" if last and item.step != last else "\r\x1b[K"
            click.echo(f"{start}{item.step}: {clean(item.text, 60)}", nl=False, err=True)
        elif item.step != last:
            click.echo(f"{item.step}: {clean(item.text, 100)}", err=True)
        last = item.step

    try:
        yield tell
    finally:
        if live and last:
            click.echo(err=True)


@verb("write", example="cto iso write --image cto.iso /dev/sdb")
@click.argument("device", type=click.Path(path_type=Path))
@click.option(
    "--image",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=Path("cto.iso"),
    show_default=True,
    help="What `cto iso build` made.",
)
@assume_yes
@pass_app
def write(app: App, device: Path, image: Path, yes: bool) -> None:
    """Write an image to a USB stick and read it back. All that is on the stick is lost.

    Refuses a disk that is not removable, and one that is mounted.
    """
    from iso.build import stick
    from iso.build.tools import Progress

    found = stick.look(device)
    name = " ".join(part for part in (clean(found.model, 40), clean(found.serial, 40)) if part)
    confirm(f"All on {found.path} ({human_bytes(found.size)}, {name or 'no name'}) is lost. Go on?", yes=yes)
    with _progress(app) as tell:

        def done(size: int, total: int) -> None:
            step = "write" if size * 2 <= total else "read back"
            tell(Progress(step, f"{size * 100 // total} %", size, total))

        sha256 = stick.write(image, found.path, found.size, done=done)
    if app.json:
        line({"written": {"device": str(found.path), "sha256": sha256}})
    else:
        click.echo(f"{found.path} holds the image (sha256 {sha256})\n  → start a machine from it")


iso = Noun("iso", help="The image that machines are started with.").add(build, write)
