"""`cto vendor release`: makes a release feed and signs releases into it. Serves nothing: any web server can.

Keys stay in their own folder, each sealed by a passphrase that is asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controller.app.publishing_keys import Keys
from controller.cli.base import App, Noun, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document
from controller.cli.vendor_license import passphrase
from controller.core.release.document import CHANNELS, Artifact
from inventory.errors import OperatorError
from inventory.wording import count

if TYPE_CHECKING:
    from controller.app.publishing import Rooted

F = TypeVar("F", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_KINDS = click.Choice(["talos", "kubernetes", "platform"])
_ROLES = click.Choice(["root", "targets", "snapshot", "timestamp"])


def _folders(function: F) -> F:
    keys = click.option("--keys", "keys", required=True, type=_PATH, help="Folder of keys.")
    return click.argument("folder", metavar="FEED", type=_PATH)(keys(function))


def _keys(app: App, folder: Path) -> Keys:
    return Keys(folder, lambda name: passphrase(app, name=name))


@verb("init", example="cto vendor release init feed --keys /media/keys")
@_folders
@pass_app
def init(app: App, folder: Path, keys: Path) -> None:
    """Make an empty feed and its keys: three for root (two must sign), one each for the other roles."""
    from controller.app import publishing

    root = publishing.init(folder, _keys(app, keys), app.now())
    _said(app, {"feed": str(folder), "root": str(root)}, f"{folder} is made; customers trust {root}")


@verb(
    "add",
    example="cto vendor release add feed --keys /media/keys --channel stable --kind talos --version 1.13.9"
    " --upgrades 1.12 --upgrades 1.13 --file metal-amd64.raw.zst"
    " --url https://factory.talos.dev/image/SCHEMATIC/v1.13.9/metal-amd64.raw.zst",
)
@_folders
@click.option("--channel", required=True, type=click.Choice(CHANNELS), help="Whom it is for.")
@click.option("--kind", required=True, type=_KINDS, help="What it is.")
@click.option("--version", required=True, metavar="X.Y.Z", help="Its version.")
@click.option("--upgrades", multiple=True, metavar="X.Y", help="A minor it can be reached from; may repeat.")
@click.option("--file", "files", multiple=True, type=_PATH, help="A file of it; may repeat.")
@click.option(
    "--url", "urls", multiple=True, metavar="URL", help="What that file stands for, in the same order."
)
@click.option("--oci", "layouts", multiple=True, type=_PATH, help="An OCI image layout; may repeat.")
@click.option(
    "--name", "images", multiple=True, metavar="REPO:TAG", help="That image's name, in the same order."
)
@click.option("--notes", type=_PATH, help="A text file: what is new.")
@click.option("--floor", type=click.IntRange(0), metavar="N", help="Withdraws releases below this counter.")
@pass_app
def add(
    app: App,
    /,
    *,
    folder: Path,
    keys: Path,
    channel: str,
    kind: str,
    version: str,
    upgrades: tuple[str, ...],
    files: tuple[Path, ...],
    urls: tuple[str, ...],
    layouts: tuple[Path, ...],
    images: tuple[str, ...],
    notes: Path | None,
    floor: int | None,
) -> None:
    """Sign a release and its files into a channel."""
    from controller.app import publishing

    artifacts = _files(f"files/{kind}-{version}", files, urls)
    for layout, name in _paired(layouts, images, "--oci"):
        artifacts |= _image(layout, name)
    counter = publishing.next_counter(folder, channel)
    release = publishing.describe(
        kind, version, counter, floor or 0, upgrades, read_text(notes) if notes else "", list(artifacts)
    )
    named = {artifact.target: file for artifact, file in artifacts.items()}
    target = publishing.add(folder, _keys(app, keys), channel, release, named, app.now())
    _said(
        app,
        {"release": release.name, "target": target, "counter": counter},
        f"{target}: signed, number {counter}",
    )


def _files(folder: str, files: Sequence[Path], urls: Sequence[str]) -> dict[Artifact, Path]:
    if len({file.name for file in files}) < len(files):
        raise OperatorError("two files have the same name", fix="give each a name of its own")
    found = {}
    for file, url in _paired(files, urls, "--file"):
        if not file.is_file():
            raise OperatorError("there is no such file", where=str(file), fix="correct --file")
        found[Artifact(f"{folder}/{file.name}", url)] = file
    return found


def _image(layout: Path, name: str) -> dict[Artifact, Path]:
    from controller.app.oci_layout import Layout

    return Layout(layout).artifacts(name)


def _paired(paths: Sequence[Path], words: Sequence[str], option: str) -> Iterable[tuple[Path, str]]:
    if len(words) > len(paths):
        raise OperatorError(f"there are more names than {option}", fix="give each its own, in the same order")
    return zip(paths, [*words, *[""] * (len(paths) - len(words))], strict=True)


@verb("renew", example="cto vendor release renew feed --keys /media/keys")
@_folders
@pass_app
def renew(app: App, folder: Path, keys: Path) -> None:
    """Sign the feed's dates anew, before they end. Releases stay as they are."""
    from controller.app import publishing

    role, end = publishing.renew(folder, _keys(app, keys), app.now())
    text = f"{folder}: signed anew; {role} ends first, on {end:%Y-%m-%d}"
    _said(app, {"feed": str(folder), "first": role, "until": end.isoformat()}, text)


@verb("rotate", example="cto vendor release rotate feed --keys /media/keys --role snapshot")
@_folders
@click.option("--role", required=True, type=_ROLES, help="Whose.")
@click.option("--id", "lost", default="", metavar="ID", help="Which of its keys goes. Default: its oldest.")
@pass_app
def rotate(app: App, folder: Path, keys: Path, role: str, lost: str) -> None:
    """Exchange a key that was lost or seen by others. Root must be signed by two of its keys."""
    from controller.app import publishing

    _rooted(app, publishing.rotate(folder, _keys(app, keys), role, app.now(), lost=lost))


@verb("cosign", example="cto vendor release cosign feed --keys /media/second-person")
@_folders
@pass_app
def cosign(app: App, folder: Path, keys: Path) -> None:
    """Add the signatures of this folder's root keys to a root that waits for them."""
    from controller.app import publishing

    _rooted(app, publishing.cosign(folder, _keys(app, keys), app.now()))


def _rooted(app: App, made: "Rooted") -> None:
    if made.missing:
        text = f"{made.path}: {count(made.missing, 'signature')} missing: cto vendor release cosign"
    elif made.renewed:
        text = f"{made.path}: in force"
    else:
        text = f"{made.path}: in force; now cto vendor release renew, with the other keys"
    _said(app, {"root": str(made.path), "missing": made.missing, "renewed": made.renewed}, text)


def _said(app: App, found: dict[str, object], text: str) -> None:
    if app.json:
        document(found)
    else:
        click.echo(text)


release = Noun("release", help="Make a release feed and sign releases into it.").add(
    init, add, renew, rotate, cosign
)
