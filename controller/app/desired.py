"""What one node is to become, from its site file, its stored facts and its cluster's secrets.

Touches no machine.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from controller.app.bundles import note, seal, secrets_name
from controller.app.ports import CachedImage
from controller.app.services import Services
from controller.core.plan import DiskPlan, Refusal
from controller.store import NodeRow
from facts import hardware as profiles
from facts.machine_model import Hardware, hardware
from facts.snapshot import Facts
from inventory.errors import InvariantError, OperatorError
from inventory.fleet import Disk, Fleet, Node
from roles import checks, disks, machineconfig, schematic
from roles.installer import InstallLayout, check_no_other_config, plan_layout
from roles.machineconfig import Rendered
from roles.registry import role
from roles.secrets import SecretsBundle, create, from_yaml


@dataclass(frozen=True, slots=True)
class Desired:
    """All that the steps need. `disk` and `config` are None if a refusal says why."""

    node: Node
    hardware: Hardware | None
    profile: str = ""
    disk: disks.DiskChoice | None = None
    rendered: Rendered | None = None
    image_url: str = ""
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def talos(self) -> str:
        return self.node.image.talos

    @property
    def image_sha256(self) -> str:
        return self.node.image.sha256

    @property
    def arch(self) -> str:
        return self.hardware.arch if self.hardware else ""

    @property
    def config(self) -> Rendered:
        if self.rendered is None:
            raise InvariantError(f"{self.node.name} has no configuration: {self.refusals}")
        return self.rendered

    def disk_plan(self) -> DiskPlan | None:
        """The disk as the plan shows it."""
        if self.disk is None:
            return None
        found = self.disk.disk
        return DiskPlan(
            self.disk.path, found.serial, found.size, found.model, self.disk.reason, self.disk.contents
        )

    def disk_record(self) -> Mapping[str, Any]:
        """What later steps need to find exactly this disk again, and to refuse any other."""
        if self.disk is None:
            raise InvariantError(f"{self.node.name} has no disk: {self.refusals}")
        found = self.disk.disk
        return {
            "path": self.disk.path,
            "serial": found.serial,
            "size": found.size,
            "model": found.model,
            "logical_sector": found.logical_sector,
            "contents": list(self.disk.contents),
        }

    def layout(self, image: CachedImage) -> InstallLayout:
        """The ranges to write. Equal inputs give equal bytes, so that a later observation can compare."""
        if self.disk is None or self.hardware is None:
            raise InvariantError(f"{self.node.name} has no disk: {self.refusals}")
        return plan_layout(
            image.first_mib,
            image.raw_size,
            disk_size=self.disk.disk.size,
            logical_sector=self.disk.disk.logical_sector,
            config=self.config.text.encode(),
            config_partuuid=uuid5(NAMESPACE_URL, f"cto:config-volume:{self.node.name}:{self.config.digest}"),
            where=self.node.name,
        )


def bundle_of(services: Services, cluster: str) -> SecretsBundle:
    """The cluster's secrets as `ensure_bundles` made them; read from the store once per process."""
    if cluster not in services.bundles:
        name = secrets_name(cluster)
        text = services.store.get_secret(name).decode()
        services.bundles[cluster] = from_yaml(text, where=name, check=False)
    return services.bundles[cluster]


async def ensure_bundles(services: Services, clusters: Iterable[str]) -> None:
    """Makes and seals the secrets of clusters that have none (ADR 6). Keys are made in threads: an RSA key
    takes up to seconds, and the loop has other things to do.
    """
    wanted = list(dict.fromkeys(clusters))
    missing = [c for c in wanted if not services.store.has_secret(secrets_name(c))]
    now = services.clock.now()
    made = await asyncio.gather(
        *(asyncio.to_thread(create, now=now, random_bytes=secrets.token_bytes) for _ in missing)
    )
    for cluster, bundle in zip(missing, made, strict=True):
        seal(services, cluster, bundle, actor="engine")
        services.store.event("SecretsMade", f"cluster/{cluster}", "secrets made and sealed in the store")
    for cluster in wanted:
        if not services.store.expiries(cluster):  # sealed before their dates were noted
            note(services, cluster, bundle_of(services, cluster))


def stored_facts(services: Services, node: str) -> Facts | None:
    """The newest facts of a node, or None if it was never asked."""
    found = services.store.facts(node, 1)
    return Facts.from_dict(found[0]["body"]) if found else None


def desire(services: Services, fleet: Fleet, node: Node) -> Desired:
    """Never raises for what the machine is: that becomes a refusal with its fix."""
    row = services.store.node(node.name)
    facts = stored_facts(services, node.name)
    if row is None or facts is None:
        missing = Refusal(
            "its hardware is not known", f"gather its facts: cto facts gather --node {node.name}"
        )
        return Desired(node, None, refusals=(missing,))
    node = replace(node, address=node.address or row.address)
    try:
        return _decide(services, fleet, node, row, facts)
    except OperatorError as error:
        return Desired(node, hardware(facts), refusals=(Refusal(error.what, error.fix),))


def _decide(services: Services, fleet: Fleet, node: Node, row: NodeRow, facts: Facts) -> Desired:
    machine = hardware(facts)
    named = node.hardware_profile
    match = profiles.named(named, machine) if named else profiles.match(machine)
    spec = role(node.role)
    findings = checks.preflight(checks.Subject(node, spec, machine, skew=_skew(facts)))
    refusals = (*_not_built(node), *(Refusal(f.what, f.fix) for f in checks.refusals(findings)))
    notes = (*_by_id(node), *match.warnings, *(f"{f.what}: {f.fix}" for f in findings if f.level == "warn"))
    choice = disks.choose(
        _declared(node, row, machine),
        machine,
        minimum=spec.disk.minimum,
        preference=match.profile.disk,
        where=node.name,
    )
    if not row.record.get("prepared"):
        check_no_other_config(machine, choice.disk, where=node.name)
    chosen = schematic.for_node(node, match.profile)
    rendered = machineconfig.render(
        node,
        fleet.clusters[node.cluster],
        bundle_of(services, node.cluster),
        choice,
        hardware=machine,
        profile=match.profile,
        image=chosen,
    )
    url = schematic.image_url(node.image, chosen.id, "arm64" if machine.arch == "arm64" else "amd64")
    return Desired(
        node, machine, match.profile.name, choice, rendered, url, (*notes, *rendered.warnings), refusals
    )


def _not_built(node: Node) -> tuple[Refusal, ...]:
    """Refused rather than delivered in another way than the file says."""
    if node.delivery.method == "metal-iso":
        return ()
    what = f"delivery by {node.delivery.method} is not built yet"
    return (Refusal(what, "use Talos 1.10 or later and leave delivery.method at metal-iso"),)


def _by_id(node: Node) -> tuple[str, ...]:
    """A schematic named by its id can't be looked into; without the argument the node won't find its file."""
    if not node.image.schematic:
        return ()
    needed = schematic.CONFIG_ARGUMENT
    return (f"the schematic is given by its id: it must have the kernel argument {needed}",)


def _declared(node: Node, row: NodeRow, machine: Hardware) -> Disk:
    """A disk that we began to write keeps being the one, whatever is on it now: that is ours. If the machine
    has no such disk, it is another machine.
    """
    prepared = str(row.record.get("prepared", ""))
    ours = any(prepared and disk.serial == prepared for disk in machine.disks)
    return Disk(serial=prepared, wipe=True) if ours else node.disk


def _skew(facts: Facts) -> float | None:
    value = facts.values.get("clock")
    skew = getattr(value, "skew", None)
    return float(skew) if skew is not None else None
