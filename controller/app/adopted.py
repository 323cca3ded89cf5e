"""What an adopted node runs with, and what it would run with by the site files. Changes no node.

No bootstrap environment ever looked at such a node: its hardware is what Talos tells of it, its disk the one
it runs from. Until somebody says `cto cluster manage`, its configuration is compared and left as it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from controller.app.bundles import keep_accepted
from controller.app.context import NodeJob
from controller.app.desired import Desired, bundle_of, kubernetes_as_it_runs
from controller.app.talos_port import NodeDisk, NodeHardware
from controller.core.plan import NodeInputs, NodePlan, Refusal, plan_node
from facts import hardware as profiles
from facts.machine_model import DiskKind, Hardware, HardwareCpu, HardwareDisk
from inventory.errors import FleetError, OperatorError
from inventory.fleet import Node
from roles import machineconfig, platform, schematic
from roles.authorities import accepted_in, with_accepted
from roles.disks import DiskChoice
from roles.redaction import diff
from roles.schematic import Schematic
from roles.yaml_text import dump_all

NOT_OURS = "adopted: its configuration was not delivered by us, and is left as it is"
_MIB = 1 << 20
_BY_ID = "/dev/disk/by-id/"
_INSTALLER = re.compile(r"/(?:[a-z]+-)?installer/([0-9a-f]{64}):")
_IMPLIED: Mapping[str, bool] = {"debug": False, "persist": True}  # written by others, said by leaving out


@dataclass(frozen=True, slots=True)
class Running:
    """`text` holds the cluster's secrets; it is shown by `difference` only."""

    text: str = field(repr=False)
    talos: str
    hardware: Hardware
    disk: HardwareDisk


async def read_running(job: NodeJob) -> Running:
    """As an administrator: Talos shows a configuration to nobody else."""
    async with job.limits.talos, job.talos() as node:
        text = await node.running_config()
        version = await node.version()
        told, disks = await node.hardware(), await node.disks()
        parents = [v.parent_dev_path for v in await node.volumes() if v.partition_label == "STATE"]
    disk = _disk(text, disks, parents[0] if parents else "")
    return Running(text, version.tag.removeprefix("v"), _hardware(version.arch, told, disk), disk)


def wanted(job: NodeJob, running: Running) -> Desired:
    """For the version that runs: versions change by rollout. Raises OperatorError for what does not fit.

    Authorities that the node accepts besides, in a rotation that somebody began, are kept with the secrets: a
    configuration without them would cut it off. Not once somebody imported which ones it is to accept.
    """
    cluster = job.node.cluster
    bundle = bundle_of(job.services, cluster)
    told = accepted_in(running.text, job.node.name)
    if not bundle.accepted.settled and with_accepted(bundle, told) != bundle:
        bundle = keep_accepted(job.services, cluster, told, actor="plan")
    node = replace(job.node, address=job.node.address or job.row.address)
    node = replace(node, image=replace(node.image, talos=running.talos))
    named = node.hardware_profile
    match = profiles.named(named, running.hardware) if named else profiles.match(running.hardware)
    has_files = node.role != "worker" and platform.sources(job.cluster)
    rendered = machineconfig.render(
        node,
        kubernetes_as_it_runs(job.cluster, job.row),
        bundle,
        DiskChoice(running.disk, "it runs from this one", ()),
        hardware=running.hardware,
        profile=match.profile,
        image=_schematic(node, running.text) or schematic.for_node(node, match.profile),
        files=job.services.manifests.of(job.cluster) if has_files else {},
    )
    notes = (*rendered.reasons, *rendered.warnings)
    return Desired(node, running.hardware, match.profile.name, None, rendered, notes=notes)


def difference(running: str, ours: str) -> str:
    """Redacted; empty if both say the same, in whatever order and with whatever defaults written out."""
    if running == ours:
        return ""
    return diff(dump_all(_plain(running)), dump_all(_plain(ours)), "on the node", "by the site files")


async def plan_adopted(job: NodeJob, inputs: NodeInputs, *, ask: bool = True) -> NodePlan:
    """Compares; a difference is a change only if the cluster is managed from here. Without `ask`, no node is
    asked, and nothing is known.
    """
    managed = bool(job.record.get("managed"))
    inputs = replace(inputs, pinned=True, installed_talos=job.row.talos, talos=job.node.image.talos)
    if not ask:
        return plan_node(replace(inputs, notes=(NOT_OURS,) if not managed else ("not asked (--offline)",)))
    try:
        running = await read_running(job)
        desired = wanted(job, running)
        text = difference(running.text, desired.config.text)
        reboot = await _reboot(job, desired.config.text) if managed and text else ""
    except FleetError as error:
        if managed:
            fix = error.fix or f"look at it: cto node show {job.node.name}"
            return plan_node(replace(inputs, refusals=(Refusal(error.what, fix),)))
        return plan_node(replace(inputs, notes=(NOT_OURS, f"it could not be compared: {error.what}")))
    inputs = replace(inputs, config_diff=text, reboot=reboot, profile=desired.profile)
    if managed:
        digest = desired.config.digest
        applied = "" if text else digest
        return plan_node(replace(inputs, wanted_digest=digest, applied_digest=applied, notes=desired.notes))
    same = "it is as the site files say"
    fix = (
        f"it differs from the site files as shown; to have it changed: cto cluster manage {job.cluster.name}"
    )
    return plan_node(replace(inputs, notes=(NOT_OURS, fix if text else same)))


async def _reboot(job: NodeJob, text: str) -> str:
    async with job.limits.talos, job.talos() as node:
        tried = await node.apply_configuration(text.encode(), mode="AUTO", dry_run=True)
    return "needs a reboot" if tried.mode == "REBOOT" else "no reboot"


def _documents(text: str) -> list[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [one for one in yaml.load_all(text, Loader=loader) if isinstance(one, Mapping)]
    except (yaml.YAMLError, ValueError, RecursionError):
        # Not chained and without the parser's words: both could quote a secret.
        raise OperatorError("its configuration is not YAML", fix="look at the node") from None


def _plain(text: str) -> list[Any]:
    """The documents in one order, each with its keys in one order, without what says nothing."""
    documents = _documents(text)
    documents.sort(key=lambda one: (str(one.get("kind", "")), str(one.get("name", ""))))
    return [_dense({k: v for k, v in one.items() if _IMPLIED.get(k) != v}) for one in documents]


def _dense(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): _dense(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
        return {key: item for key, item in kept.items() if item not in ({}, [], None)}
    return [_dense(item) for item in value] if isinstance(value, list) else value


def _schematic(node: Node, text: str) -> Schematic | None:
    """The one that the node was installed with, which has its extensions, unless the site file names one."""
    found = _INSTALLER.search(text)
    return Schematic(found[1]) if found and not node.image.schematic else None


def _disk(text: str, disks: Any, state_on: str) -> HardwareDisk:
    """The disk that Talos runs from, under the name that the configuration gives it if it gives one."""
    main: Mapping[str, Any] = next((one for one in _documents(text) if "kind" not in one), {})
    install = (main.get("machine") or {}).get("install") or {}
    named = str(install.get("disk") or "")
    found: NodeDisk | None = next((one for one in disks if one.dev_path == state_on), None)
    if found is None:
        return HardwareDisk(state_on.removeprefix("/dev/"), state_on, named or state_on, 0, "ssd")
    stable = [link for link in found.symlinks if link.startswith(_BY_ID)]
    known = (found.dev_path, *found.symlinks)
    path = named if named in known or (named and not stable) else (stable or [found.dev_path])[0]
    kind: DiskKind = "nvme" if found.transport == "nvme" else "hdd" if found.rotational else "ssd"
    return HardwareDisk(
        found.name, found.dev_path, path, found.size, kind, found.model, found.serial, found.wwid
    )


def _hardware(arch: str, told: NodeHardware, disk: HardwareDisk) -> Hardware:
    threads = sum(int(row.get("thread_count") or row.get("core_count") or 0) for row in told.processors)
    return Hardware(
        arch or "amd64",
        vendor=str(told.system.get("manufacturer") or ""),
        product=str(told.system.get("product_name") or ""),
        cpu=HardwareCpu(sockets=len(told.processors), cores=threads, threads=threads),
        memory=sum(int(row.get("size") or 0) for row in told.memory) * _MIB,
        disks=(disk,),
    )
