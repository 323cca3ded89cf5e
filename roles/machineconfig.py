"""A node's machine configuration, rendered from what is declared and what was found. Validates no field by
itself.

Equal inputs give equal bytes, so the digest says whether a node has what it should have. The form is that of
the node's Talos minor: the main v1alpha1 document, beside it one document per matter that has moved out of
it. Patches come last and have the last word. The text holds the cluster's secrets: show it by
`roles.redaction` only.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from facts.hardware import Profile
from facts.machine_model import Hardware
from inventory.errors import OperatorError
from inventory.fleet import Cluster, Node
from roles import patches, platform, schematic
from roles.checks import threads
from roles.config_cluster import cluster_section
from roles.config_documents import extra_documents, proxy_variables
from roles.config_input import ConfigInput
from roles.config_kubernetes import kubernetes_documents
from roles.config_machine import machine_section
from roles.config_moved import refuse_moved
from roles.config_system import system_documents
from roles.disks import DiskChoice
from roles.network import reasons
from roles.platform import InlineManifest
from roles.registry import role
from roles.schematic import Schematic
from roles.secrets import SecretsBundle
from roles.talos_version import check_kubernetes, contract_of
from roles.yaml_text import dump_all

MAX_BYTES = 15 * 1024 * 1024  # the volume that delivers it has 16 MiB; Talos takes 32 MiB in a call


@dataclass(frozen=True, slots=True)
class Rendered:
    """`digest` is the SHA-256 (hex) of `text` in UTF-8."""

    text: str = field(repr=False)
    digest: str
    warnings: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # why these network cards, where the facts decided


def render(
    node: Node,
    cluster: Cluster,
    bundle: SecretsBundle,
    choice: DiskChoice,
    *,
    hardware: Hardware,
    profile: Profile | None = None,
    image: Schematic | None = None,
    files: Mapping[str, InlineManifest] | None = None,
) -> Rendered:
    """The whole multi-document text. `image` is the schematic if the factory's own answer is known; `files`
    are the manifest files that `platform.sources` asks for, by part.

    Raises RefusedError for a Talos or Kubernetes version that is not supported, OperatorError for a patch
    that does not fit.
    """
    contract = contract_of(node.image.talos)
    check_kubernetes(contract, cluster.kubernetes)
    chosen = image or schematic.for_node(node, profile)
    source = ConfigInput(
        node=node,
        cluster=cluster,
        contract=contract,
        role=role(node.role),
        bundle=bundle,
        install_disk=choice.path,
        installer=schematic.installer_reference(node.image, chosen.id),
        memory=hardware.memory,
        threads=threads(hardware),
        profile=profile,
        nics=hardware.nics,
    )
    if source.role.control_plane:
        carried = platform.manifests(cluster, files or {}, proxy=proxy_variables(source))
        source = replace(source, manifests=carried)
    text = _text(source)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Rendered(text, digest, tuple(_warnings(source)), reasons(source.links))


def _text(source: ConfigInput) -> str:
    """With the patches of its node, and no longer than can be delivered."""
    node, contract = source.node, source.contract
    where = f"node {node.name}"
    refuse_moved(node.patches, contract, where=where)
    text = dump_all(patches.apply(_documents(source), node.patches, where=where, minor=contract.number))
    size = len(text.encode())
    if size > MAX_BYTES:
        what = f"the configuration has {size >> 20} MiB, more than can be delivered"
        raise OperatorError(what, where=where, fix="give smaller manifests or patches")
    return text


def _documents(source: ConfigInput) -> list[dict[str, Any]]:
    """The main one first."""
    main = {"version": "v1alpha1", "machine": machine_section(source), "cluster": cluster_section(source)}
    return [main, *extra_documents(source), *system_documents(source), *kubernetes_documents(source)]


def _warnings(source: ConfigInput) -> Iterator[str]:
    settings = source.settings
    if not settings.get("timeServers") and not settings.get("timeDisabled"):
        yield (
            "no time servers are set, so Talos asks time.cloudflare.com; where that can't be reached, etcd "
            "never starts: set settings.timeServers, or timeDisabled if the machine's own clock is right"
        )
    if settings.get("timeDisabled"):
        yield "the clock is not synchronized; certificates fail if it drifts"
    if source.cluster.settings.get("cni") == "none":
        yield "cni: none: the nodes stay not ready until you install a pod network"
    if source.node.image.schematic and source.features:
        yield "the schematic was given by its id: it must have the extensions that longhorn or nvidia need"
    if source.memory == 0 or source.threads == 0:
        yield "memory or cores are not known, so the smallest reservations were chosen"
