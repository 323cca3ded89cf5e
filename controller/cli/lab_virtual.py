"""`cto lab up --qemu`: virtual machines that run the image, pinned when they show their keys."""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App
from controller.cli.loop import on_loop
from controller.cli.output import document, plain
from controller.cli.text import clean
from inventory.errors import OperatorError
from inventory.wording import count
from iso.qemu.lab import LabVm


def folder_of(services: Any) -> Path:
    return Path(services.home.root) / "qemu"


@dataclass(frozen=True, slots=True)
class Asked:
    """What `cto lab up --qemu` was asked for."""

    image: Path
    nodes: int
    memory: int
    hardware: tuple[str, ...]
    talos: str
    disk_image: Path | None
    wait: float


def up(app: App, asked: Asked) -> None:
    """Starts them, writes their site file, waits for their keys. Again: waits for those that are missing."""
    from controller.app.lab_virtual import pin_all
    from iso.qemu import lab

    if not asked.image.is_file():
        fix = f"cto iso build --output {shlex.quote(str(asked.image))}"
        raise OperatorError("there is no such image", where=str(asked.image), fix=fix)
    with app.services() as services:
        services.home.create()
        folder = folder_of(services)
        running = bool(lab.status(folder))
        found = lab.up(folder, asked.image, asked.nodes, memory=asked.memory, hardware=asked.hardware)
        site = folder / "site.yaml" if running else _site_file(folder, len(found), asked)
        how = "run already and are left as they are" if running else "started; booting takes a minute or more"
        _say(app, f"{count(len(found), 'virtual machine')} {how}")
        if asked.wait:
            on_loop(
                services,
                lambda: pin_all(
                    services, folder, seconds=asked.wait, tell=lambda text: _say(app, clean(text))
                ),
            )
        _told(app, lab.status(folder), site, waited=bool(asked.wait))


def _site_file(folder: Path, count: int, asked: Asked) -> Path:
    from controller.app.lab import KUBERNETES, TALOS
    from controller.app.lab_virtual import write_site_file
    from roles.talos_version import contract_of

    version = (asked.talos or TALOS).removeprefix("v")
    wanted = {"talos": version, **(_file(asked.disk_image) if asked.disk_image else {})}
    kubernetes = contract_of(version).default_kubernetes if asked.talos else KUBERNETES
    return write_site_file(folder, count, image=wanted, kubernetes=kubernetes)


def _file(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"can't be read: {error.strerror}"
        raise OperatorError(
            what, where=str(path), fix="name a Talos disk image, such as a .raw.zst"
        ) from error
    return {"url": path.absolute().as_uri(), "sha256": sha256}


def _say(app: App, text: str) -> None:
    if not app.json:
        click.echo(text)


def _told(app: App, machines: list[LabVm], site: Path, *, waited: bool) -> None:
    if app.json:
        document({"machines": [plain(machine) for machine in machines], "site_file": str(site)})
    elif waited:
        click.echo(f"  → cto apply -f {shlex.quote(str(site))}")
    else:
        click.echo("  → cto lab status; cto lab up --qemu again pins them")
