"""The lab from the controller's side: start it, take over its pins, name its site file. Simulates nothing itself."""

from collections.abc import Sequence
from pathlib import Path

from controller.app.services import Services
from iso.lab import client
from iso.lab.client import LabInfo
from iso.lab.spec import LabSpec
from iso.lab.sitefile import site_file

TALOS, KUBERNETES = "1.13.9", "1.36.3"
ACTOR = "lab"


def lab_up(
    services: Services,
    counts: Sequence[int],
    *,
    seed: int = 1,
    hardware: Sequence[str] = (),
    base: int | None = None,
    boot_seconds: float = 0.5,
) -> LabInfo:
    """Starts one site of machines per entry of `counts` and pins their host keys: the lab is its own console,
    so it may. Idempotent: a lab that runs is only read. The site file is `lab_site_file(home)`."""
    from controller.adapters_keys import public_key  # placeholder, replaced at integration

    key = public_key(services.home.ssh_key)
    spec = LabSpec(
        counts=tuple(counts), seed=seed, authorized_keys=(key,), hardware=tuple(hardware), boot_seconds=boot_seconds
    )
    info = client.start(services.home.root, spec)
    text = site_file(info, talos=TALOS, kubernetes=KUBERNETES)
    lab_site_file(services.home.root).write_text(text, encoding="utf-8")
    pin_lab(services, info)
    return info


def lab_site_file(home: Path) -> Path:
    return home / "lab" / "site.yaml"


def pin_lab(services: Services, info: LabInfo) -> None:
    """Takes over the key that each machine's console shows now. A machine that rebooted has a new one."""
    for machine in info.machines:
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
