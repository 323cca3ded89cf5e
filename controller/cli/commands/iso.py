"""`cto iso`: builds the bootable image and writes it to a stick. The work itself is `iso.build`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli.base import App, Noun, assume_yes, confirm, pass_app
from controller.cli.base import command as verb
from controller.cli.image_output import FileCommand
from controller.cli.output import human_bytes, line, plain
from controller.cli.text import clean
from inventory.errors import OperatorError
from iso.render.packages import ARCHES

if TYPE_CHECKING:
    from iso.build.image import Built


@click.command(
    "build",
    cls=FileCommand,
    made="The image; SBOM and SHA256SUMS go beside it. Default: cto.iso.",
    example="cto iso build\ncto iso build --site site.yaml --output berlin.iso",
)
@click.option(
    *("-f", "--file", "--site", "files"),
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Site file: the machine enrols by itself, by a one-use token. Default with --node: as everywhere.",
)
@click.option("--for-site", metavar="NAME", help="Which site, if the site files have several.")
@click.option(
    "--enroll",
    metavar="ID",
    help="Take this token instead of making one: its id (`cto token list`), never the token.",
)
@click.option("--no-enroll", is_flag=True, help="Put the site file in, and no token.")
@click.option("--role", help="What the token is good for, if the site has several roles.")
@click.option("--expires", default="7d", show_default=True, metavar="TIME", help="Life of the token.")
@click.option(
    *("--controller", "controllers"),
    multiple=True,
    metavar="ADDRESS[:PORT]",
    help="Where the machine finds the controller, where mDNS does not reach.",
)
@click.option(
    "--node", metavar="NAME", help="For this node only: its host key is made here and trusted beforehand."
)
@click.option(
    "--countdown", type=click.IntRange(0, 3600), default=60, show_default=True, help="Seconds; any key stops."
)
@click.option("--air-gapped", is_flag=True, help="Take the site's disk images and manifests along.")
@click.option(
    *("--key", "keys"),
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
@click.option("--locked", is_flag=True, help="No shell at the machine's console.")
@click.option("--firmware", is_flag=True, help="Add non-free firmware that many servers' network cards need.")
@click.option(
    "--arch", type=click.Choice(ARCHES), default="amd64", show_default=True, help="Of the machines."
)
@click.option("--refresh", is_flag=True, help="Fetch today's packages instead of using the kept ones.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where packages are kept. Default: in the home."
)
@pass_app
def build(app: App, /, **options: Any) -> None:
    """Build the image that machines are started with: from stick, CD or virtual medium, BIOS or UEFI.

    The first build fetches about 150 MB through this machine's apt and takes minutes; later ones are quick.
    """
    from iso.build.image import check_arch

    check_arch(options["arch"])
    with app.services() as services, _progress(app) as report:
        made, notes = _make(app, services, options, report)
    if app.json:
        line({"built": plain(made), "notes": list(notes)})
    else:
        _told(made, notes)


def _make(
    app: App, services: Any, options: Mapping[str, Any], report: Callable[[Any], None]
) -> tuple["Built", tuple[str, ...]]:
    """The image, and what to know of it. What was made for an image that fails is taken back."""
    from controller.cli.image_request import prepare
    from iso.build.image import Request, check
    from iso.build.image import build as make
    from iso.build.tools import Progress

    output = options["output"] or Path("cto.iso")

    def tell(url: str, done: int, total: int) -> None:
        report(Progress("images", f"{url} {done * 100 // max(total, 1)} %", done, total))

    wanted = {**options, "enrolling": not options["no_enroll"]}
    ready = prepare(app, services, wanted, before=lambda: check(output, options["arch"]), tell=tell)
    request = Request(
        output=output,
        cache=(options["cache"] or services.home.root / "cache" / "iso").absolute(),
        layer=ready.layer,
        carried=ready.carried,
        arch=options["arch"],
        firmware=options["firmware"],
        refresh=options["refresh"],
        **_epoch(app),
    )
    made = None
    try:
        made = make(request, report=report)
        ready.finish()
    except BaseException:
        ready.undo()
        if made is not None:
            made.path.unlink()  # nobody would ever trust the key in it
        raise
    if made.secret:
        contents = "; ".join(made.contents)
        services.store.note_image(made.path.name, made.sha256, contents=contents, actor=app.actor())
    return made, ready.notes


def _told(made: "Built", notes: tuple[str, ...]) -> None:
    from controller.cli.image_request import next_command

    click.echo(f"{made.path}  {human_bytes(made.size)}  in {made.seconds:g} s\nsha256 {made.sha256}")
    click.echo(f"machines need {human_bytes(made.memory)} of memory to start it")
    click.echo("It carries:\n" + "\n".join(f"  {clean(text)}" for text in made.contents))
    if made.secret:
        click.echo("This file is a secret: keep it as you keep a password, and delete it afterwards.")
    for note in notes:
        click.echo(f"  note: {clean(note)}")
    click.echo(f"  → {next_command(made.path)}")


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

    Refuses a disk that is not removable, and one that is in use.
    """
    from iso.build import stick
    from iso.build.tools import Progress

    found = stick.look(device)
    stick.check_fits(image, found.path, found.size)
    confirm(f"All on {_described(found)} is lost. Go on?", yes=yes)
    with _progress(app) as tell:

        def done(size: int, total: int) -> None:
            step = "write" if size * 2 <= total else "read back"
            tell(Progress(step, f"{size * 100 // total} %", size, total))

        sha256 = stick.write(image, found.path, found.size, done=done)
    if app.json:
        line({"written": {"device": str(found.path), "sha256": sha256}})
    else:
        click.echo(f"{found.path} holds the image (sha256 {sha256})\n  → start a machine from it")


def _described(found: Any) -> str:
    """By what a person knows the stick."""
    name = " ".join(part for part in (clean(found.model, 40), clean(found.serial, 40)) if part)
    holds = "; on it: " + ", ".join(clean(text, 40) for text in found.contents) if found.contents else ""
    return f"{found.path} ({human_bytes(found.size)}, {name or 'no name'}{holds})"


iso = Noun("iso", help="The image that machines are started with.").add(build, write)
