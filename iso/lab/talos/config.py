"""Machine configurations as the lab's Talos reads them: strict decoding, metal-mode validation, a text diff.

Knows every key at every depth; it does not check every value as the real decoder does.
"""

import base64
import binascii
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from iso.lab.api import LabDisk
from iso.lab.talos.split import as_one, conflicts
from roles.config_known import kinds, unknown_keys

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader where libyaml is there: 200 boots

CNI = ("", "flannel", "custom", "none")


class ConfigError(Exception):
    """What the decoder or the validation says of a configuration."""


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """A configuration that passed; `text` is what was delivered, byte for byte. `main` has all in the places
    that they had up to Talos 1.13.
    """

    text: bytes = field(repr=False)
    main: Mapping[str, Any] = field(repr=False)
    documents: tuple[Mapping[str, Any], ...] = field(repr=False)

    def section(self, *path: str) -> Mapping[str, Any]:
        """A mapping inside the main document, empty if it is not there."""
        value: Any = self.main
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else {}

    @property
    def control_plane(self) -> bool:
        return self.section("machine").get("type") == "controlplane"

    @property
    def endpoint(self) -> str:
        return str(self.section("cluster", "controlPlane").get("endpoint", ""))

    @property
    def endpoint_host(self) -> str:
        try:
            return urlsplit(self.endpoint).hostname or ""
        except ValueError:
            return ""

    @property
    def cluster_name(self) -> str:
        return str(self.section("cluster").get("clusterName") or "cluster")

    @property
    def cluster_key(self) -> str:
        """What makes nodes members of one cluster: its id, else the API CA they share."""
        cluster = self.section("cluster")
        return str(cluster.get("id") or "") + "/" + str(cluster.get("secret") or self.ca_crt)

    @property
    def ca_crt(self) -> str:
        return _pem(self.section("machine", "ca").get("crt"))

    @property
    def ca_key(self) -> str:
        return _pem(self.section("machine", "ca").get("key"))

    @property
    def kube_ca(self) -> tuple[str, str]:
        """Certificate and key, PEM."""
        found = self.section("cluster", "ca")
        return _pem(found.get("crt")), _pem(found.get("key"))

    @property
    def authorities(self) -> str:
        """Whose clients apid lets in, PEM: the issuing authority and those accepted besides."""
        return "".join((self.ca_crt, *_accepted(self.section("machine"))))

    @property
    def kube_authorities(self) -> str:
        return "".join((self.kube_ca[0], *_accepted(self.section("cluster"))))

    @property
    def cert_sans(self) -> tuple[str, ...]:
        return _texts(self.section("machine").get("certSANs"))

    @property
    def kube_sans(self) -> tuple[str, ...]:
        return _texts(self.section("cluster", "apiServer").get("certSANs"))

    @property
    def hostname(self) -> str:
        for document in self.documents:
            if document.get("kind") == "HostnameConfig" and document.get("hostname"):
                return str(document["hostname"])
        return str(self.section("machine", "network").get("hostname") or "")

    @property
    def time_disabled(self) -> bool:
        for document in self.documents:
            if document.get("kind") == "TimeSyncConfig" and document.get("enabled") is False:
                return True
        return bool(self.section("machine", "time").get("disabled"))

    @property
    def cni(self) -> str:
        return str(self.section("cluster", "network", "cni").get("name") or "flannel")

    @property
    def kubelet_version(self) -> str:
        """The tag of the kubelet's image: v1.36.3."""
        _, _, tag = str(self.section("machine", "kubelet").get("image") or "").rpartition(":")
        return tag or "v1.36.0"

    @property
    def components(self) -> Mapping[str, str]:
        """The static pods of a control plane and their images."""
        if not self.control_plane:
            return {}
        keys = {
            "kube-apiserver": "apiServer",
            "kube-controller-manager": "controllerManager",
            "kube-scheduler": "scheduler",
        }
        version = self.kubelet_version
        return {
            name: str(self.section("cluster", key).get("image") or f"registry.k8s.io/{name}:{version}")
            for name, key in keys.items()
        }

    @property
    def node_labels(self) -> Mapping[str, str]:
        found = self.section("machine", "nodeLabels")
        return {str(key): str(value) for key, value in found.items()}

    @property
    def schedulable_control_planes(self) -> bool:
        return bool(self.section("cluster").get("allowSchedulingOnControlPlanes"))


def load(text: bytes, *, minor: int, disks: Iterable[LabDisk]) -> MachineConfig:
    """Decode and validate for Talos 1.`minor` on a machine with these disks, or raise ConfigError."""
    try:
        documents = [document for document in yaml.load_all(text, Loader=_LOADER) if document is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"error decoding document: {str(error)[:400]}") from error
    if not documents or not all(isinstance(document, dict) for document in documents):
        raise ConfigError("no configuration documents found")
    mains = [document for document in documents if "kind" not in document]
    if len(mains) != 1:
        raise ConfigError(f"expected one v1alpha1 document, found {len(mains)}")
    others = tuple(document for document in documents if "kind" in document)
    _decode(MachineConfig(text, mains[0], others), minor)
    both = conflicts(mains[0], others) if minor >= 14 else []
    config = MachineConfig(text, as_one(mains[0], others) if minor >= 14 else mains[0], others)
    _validate(config, list(disks), both, installs=minor < 14)
    return config


def _decode(config: MachineConfig, minor: int) -> None:
    if config.main.get("version") != "v1alpha1":
        raise ConfigError(f"unsupported version {config.main.get('version')!r}")
    for document in config.documents:
        kind = str(document["kind"])
        since = kinds().get(kind)
        if document.get("apiVersion") != "v1alpha1" or since is None or since > minor:
            raise ConfigError(f'"{kind}" "{document.get("apiVersion")}": not registered')
    documents = (config.main, *config.documents)
    unknown = [each.path for document in documents for each in unknown_keys(document, minor)]
    if unknown:
        raise ConfigError("unknown keys found during decoding:\n" + "\n".join(unknown))


def _validate(config: MachineConfig, disks: list[LabDisk], problems: list[str], *, installs: bool) -> None:
    """`installs`: up to 1.13 a configuration for metal must say which disk to install on."""
    problems = [*problems, *_machine_problems(config), *_role_problems(config)]
    if installs or config.section("machine", "install"):
        problems += _install_problems(config, disks, required=installs)
    if problems:
        listed = "\n".join(f"\t* {problem}" for problem in problems)
        raise ConfigError(f"configuration validation failed: {len(problems)} errors occurred:\n{listed}")


def _machine_problems(config: MachineConfig) -> Iterable[str]:
    kind = str(config.section("machine").get("type"))
    if kind not in {"controlplane", "worker"}:
        yield f"machine type {kind!r} is invalid"
    if "CERTIFICATE" not in config.ca_crt:
        yield "trusted CA certificate is required on every node"
    if config.cni not in CNI:
        yield f"invalid cni name: {config.cni!r}"
    if not config.endpoint.startswith("https://") or not config.endpoint_host:
        yield f"invalid controlplane endpoint: {config.endpoint!r}"


def _role_problems(config: MachineConfig) -> Iterable[str]:
    cluster = config.section("cluster")
    if config.control_plane:
        for path in (("machine", "ca"), ("cluster", "ca"), ("cluster", "etcd", "ca")):
            if not _pem(config.section(*path).get("key")):
                yield f"issuing CA key is required for controlplane nodes: {'.'.join(path)}"
        if not _pem(config.section("cluster", "serviceAccount").get("key")):
            yield "cluster.serviceAccount.key is required for controlplane nodes"
        return
    if config.ca_key or config.kube_ca[1]:
        yield "issuing CA key is not allowed on non-controlplane nodes"
    if cluster.get("etcd"):
        yield "etcd config is only allowed on control plane machines"


def _install_problems(config: MachineConfig, disks: list[LabDisk], *, required: bool) -> Iterable[str]:
    install = config.section("machine", "install")
    disk, selector = str(install.get("disk") or ""), install.get("diskSelector")
    if not install:
        yield "install instructions are required in metal mode"
    elif not disk and not selector:
        if not required:
            return  # a CEL expression that the lab does not understand
        yield "either install disk or diskSelector should be defined"
    elif disk and not any(_is_disk(disk, one) for one in disks):
        yield f"specified disk does not exist: {disk!r}"
    elif isinstance(selector, Mapping) and not any(_selects(selector, one) for one in disks):
        yield f"no disk matches the install disk selector {dict(selector)}"


def _is_disk(path: str, disk: LabDisk) -> bool:
    if path == f"/dev/{disk.name}":
        return True
    # udev puts the serial (20 characters of it for virtio) or the WWN into the link's name.
    marks = (disk.serial[:20], disk.wwid.removeprefix("naa."))
    return path.startswith("/dev/disk/by-id/") and any(mark and mark in path for mark in marks)


def _selects(selector: Mapping[str, Any], disk: LabDisk) -> bool:
    known = {"serial": disk.serial, "wwid": disk.wwid, "model": disk.model, "name": f"/dev/{disk.name}"}
    return all(_glob(str(selector[key]), value) for key, value in known.items() if key in selector)


def _glob(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def diff(old: bytes, new: bytes) -> str:
    """What `dry_run` shows."""
    lines = difflib.unified_diff(
        old.decode(errors="replace").splitlines(),
        new.decode(errors="replace").splitlines(),
        "a",
        "b",
        lineterm="",
    )
    return "\n".join(lines) or "No changes."


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _pem(value: object) -> str:
    """PEM travels in base64 inside the main document."""
    try:
        return base64.b64decode(str(value or ""), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _accepted(section: Mapping[str, Any]) -> list[str]:
    listed = section.get("acceptedCAs")
    entries = listed if isinstance(listed, list) else []
    return [_pem(entry.get("crt")) for entry in entries if isinstance(entry, Mapping)]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
