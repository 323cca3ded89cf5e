"""The lab from the controller's side: start it, take over its pins, name its site file.

Simulates nothing itself.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

from controller.app.services import Services
from inventory.resolve import load_files
from iso.lab import client
from iso.lab.image import LabImage, write_image
from iso.lab.sitefile import site_file, updates_file
from iso.lab.spec import LabInfo, LabSpec
from roles.enrollment.token import ID_BYTES, SECRET_BYTES, Token
from roles.talos_version import contract_of

TALOS = "1.13.9"
KUBERNETES = contract_of(TALOS).default_kubernetes
ACTOR = "lab"
_TOKEN_LIFE = timedelta(hours=24)
ARCHES: tuple[Literal["amd64", "arm64"], ...] = ("amd64", "arm64")


def lab_up(
    services: Services,
    counts: Sequence[int],
    *,
    seed: str | int = "",
    hardware: Sequence[str] = (),
    boot_seconds: float = 0.5,
    talos: str = TALOS,
    enroll: bool = False,
) -> LabInfo:
    """Starts one site of machines per entry of `counts` and pins their host keys: the lab is its own console,
    so it may. Idempotent: a lab that runs is only read. The site file is `lab_site_file(home)`.

    `enroll`: pins nothing; each machine gets a token of its own and asks to join, once that is opened.
    """
    root = services.home.create().root
    spec = LabSpec(
        mixed=tuple(counts),
        seed=str(seed or root),  # two homes must not fight for addresses
        authorized_keys=services.ssh_public_key,
        hardware=tuple(hardware),
        boot_seconds=boot_seconds,
    )
    info = client.start(root, spec)
    kubernetes = contract_of(talos).default_kubernetes
    present = {machine.arch for machine in info.machines}
    images: dict[str, LabImage] = {
        arch: write_image(client.folder(root) / "images", talos, arch) for arch in ARCHES if arch in present
    }
    lab_updates_file(root).write_text(updates_file(), encoding="utf-8")
    lab_site_file(root).write_text(
        site_file(info, images=images, kubernetes=kubernetes, enroll=enroll), encoding="utf-8"
    )
    if enroll:
        enroll_lab(services, info)
    else:
        pin_lab(services, info)
    return info


def lab_site_file(home: Path) -> Path:
    return home / "lab" / "site.yaml"


def lab_updates_file(home: Path) -> Path:
    """Policy and window for rollouts in the lab."""
    return home / "lab" / "updates.yaml"


def enroll_lab(services: Services, info: LabInfo) -> None:
    """Gives a token to each machine that has none, as an image would bring it along."""
    from controller.app.enrollment.identity import pin

    file = lab_site_file(services.home.root)
    fleet = load_files({str(file): file.read_text(encoding="utf-8")}).fleet
    services.store.declare(fleet, actor=ACTOR)
    shown = pin(services)
    for machine in info.machines:
        if machine.enroll_state or not machine.host_key:
            continue  # it has one, or it runs Talos already
        token = Token.make(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
        services.store.create_token(
            token, site=machine.site, role=machine.role, uses=1, life=_TOKEN_LIFE, actor=ACTOR
        )
        config = {"token": token.to_text(), "pin": shown}
        client.command(services.home.root, {"op": "enroll", "machine": machine.name, "config": config})


def pin_lab(services: Services, info: LabInfo) -> None:
    """Takes over the key that each machine's console shows now. A machine that rebooted has a new one."""
    for machine in info.machines:
        if not machine.host_key:
            continue  # it runs Talos, which has no SSH
        services.store.pin(
            machine.name,
            address=machine.address,
            port=machine.ssh_port,
            host_key=machine.host_key,
            site=machine.site,
            cluster=machine.cluster,
            role=machine.role,
            actor=ACTOR,
            reason="read from the lab's own console",
            replace=True,
        )
