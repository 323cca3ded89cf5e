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
from controller.app.endpoint import lasting
from controller.app.ports import CachedImage
from controller.app.services import Services
from controller.core.plan import DiskPlan, Refusal
from controller.store import NodeRow
from facts import hardware as profiles
from facts.machine_model import Hardware, hardware
from facts.snapshot import Facts
from inventory.delivery import Method
from inventory.errors import InvariantError, OperatorError
from inventory.fleet import Cluster, Disk, Fleet, Node
from inventory.lifecycle import NodeState
from roles import checks, disks, machineconfig, platform, schematic, settings
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
    schematic: str = ""  # the document to tell the factory; empty if the image is not made from one of ours

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
            method=self.node.delivery.method,
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


async def ensure_manifests(services: Services, clusters: Iterable[Cluster]) -> None:
    """Fetches the manifest files that their configurations carry; what fails is told of each node."""
    wanted = [cluster for cluster in clusters if platform.sources(cluster)]
    if wanted:
        await services.manifests.prepare(wanted)


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
    node = as_it_runs(replace(node, address=node.address or row.address), row)
    try:
        return _decide(services, fleet, node, row, facts)
    except OperatorError as error:
        return Desired(node, hardware(facts), refusals=(Refusal(error.what, error.fix),))


def as_it_runs(node: Node, row: NodeRow) -> Node:
    """With the Talos that it has, once it is ready: versions change by rollout, and a configuration in the
    form of the next minor would be refused by the one that runs.
    """
    if row.state is not NodeState.READY or not row.talos:
        return node
    return replace(node, image=replace(node.image, talos=row.talos))


def kubernetes_as_it_runs(cluster: Cluster, row: NodeRow) -> Cluster:
    """With the Kubernetes that a rollout brought to the node, whatever the site file says meanwhile."""
    version = str(row.record.get("kubernetes", ""))
    return replace(cluster, kubernetes=version) if version and row.state is NodeState.READY else cluster


def _decide(services: Services, fleet: Fleet, node: Node, row: NodeRow, facts: Facts) -> Desired:
    machine = hardware(facts)
    named = node.hardware_profile
    match = profiles.named(named, machine) if named else profiles.match(machine)
    spec = role(node.role)
    findings = checks.preflight(checks.Subject(node, spec, machine, skew=_skew(facts)))
    refusals = tuple(Refusal(f.what, f.fix) for f in checks.refusals(findings))
    notes = (
        *_delivery(node),
        *_bootstrap(node),
        *_by_id(node),
        *match.warnings,
        *(f"{f.what}: {f.fix}" for f in findings if f.level == "warn"),
    )
    choice = disks.choose(
        _declared(node, row, machine),
        machine,
        minimum=spec.disk.minimum,
        preference=match.profile.disk,
        where=node.name,
    )
    if not row.record.get("prepared"):
        check_no_other_config(machine, choice.disk, where=node.name, method=node.delivery.method)
    chosen = schematic.for_node(node, match.profile)
    cluster = kubernetes_as_it_runs(lasting(services, fleet.clusters[node.cluster]), row)
    rendered = machineconfig.render(
        node,
        cluster,
        bundle_of(services, node.cluster),
        choice,
        hardware=machine,
        profile=match.profile,
        image=chosen,
        files=services.manifests.of(cluster) if spec.control_plane and platform.sources(cluster) else {},
    )
    url = schematic.image_url(node.image, chosen.id, "arm64" if machine.arch == "arm64" else "amd64")
    told = "" if node.image.url else chosen.document
    warned = (*notes, *rendered.reasons, *rendered.warnings)
    return Desired(node, machine, match.profile.name, choice, rendered, url, warned, refusals, told)


_WAYS: Mapping[Method, str] = {
    "metal-iso": "in a partition that is dropped after the first boot",
    "state": "in the STATE partition, made in advance (never tried by us on a real Talos)",
    "maintenance-push": "pushed to the node in maintenance mode",
}


def _delivery(node: Node) -> tuple[str, ...]:
    """How the configuration gets there, why so, and what the operator has to do about it."""
    delivery = node.delivery
    why = f" ({delivery.reason})" if delivery.reason else ""
    told = [f"the configuration is delivered {_WAYS[delivery.method]}{why}"]
    if delivery.method == "maintenance-push" and delivery.trust_segment:
        told.append(
            "the site file declares the network segment trusted: any key is taken in maintenance mode"
        )
    elif delivery.method == "maintenance-push":
        told.append(
            f"after its reboot, compare the fingerprint on its console: cto node confirm {node.name}; "
            "then run cto apply again"
        )
    return tuple(told)


def _bootstrap(node: Node) -> tuple[str, ...]:
    """What the step `prepare` brings about besides."""
    wanted = settings.summary(settings.declared(node.bootstrap))
    return (f"the bootstrap environment is to have {wanted}",) if wanted else ()


def _by_id(node: Node) -> tuple[str, ...]:
    """A schematic named by its id can't be looked into; without the argument the node won't find its file."""
    if not node.image.schematic or node.delivery.method != "metal-iso":
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
