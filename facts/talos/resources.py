"""COSI resources of the Talos API: which message a resource's spec is, and its fields by name.

Pure: takes the two encodings a node sends (protobuf and YAML) and gives plain values. Judges nothing.
"""

from collections.abc import Mapping
from typing import Any

from inventory.errors import NodeError

MACHINE_STATUS = "MachineStatuses.runtime.talos.dev"
DISCOVERED_VOLUMES = "DiscoveredVolumes.block.talos.dev"
DISKS = "Disks.block.talos.dev"
SYSTEM_INFORMATION = "SystemInformations.hardware.talos.dev"
PROCESSORS = "Processors.hardware.talos.dev"
MEMORY_MODULES = "MemoryModules.hardware.talos.dev"
PCI_DEVICES = "PCIDevices.hardware.talos.dev"
LINKS = "LinkStatuses.net.talos.dev"
CLUSTER_INFO = "Infos.cluster.talos.dev"
MACHINE_TYPE = "MachineTypes.config.talos.dev"
META_KEYS = "MetaKeys.runtime.talos.dev"
EXTENSIONS = "ExtensionStatuses.runtime.talos.dev"
MACHINE_CONFIG = "MachineConfigs.config.talos.dev"  # sensitive: for administrators only

# The one resource of a type that has but one: type, namespace, id (Talos resources/*, all minors).
CURRENT_CLUSTER = (CLUSTER_INFO, "cluster", "current")
CURRENT_TYPE = (MACHINE_TYPE, "config", "machine-type")
UPGRADE_FALLBACK = (META_KEYS, "runtime", "0x06")  # from an install until the new version is well
ACTIVE_CONFIG = (MACHINE_CONFIG, "config", "v1alpha1")  # what runs; "persistent" is what is stored

# Resource type → (namespace it lives in, message of its spec)
SPECS: Mapping[str, tuple[str, str]] = {
    MACHINE_STATUS: ("runtime", "talos.resource.definitions.runtime.MachineStatusSpec"),
    DISCOVERED_VOLUMES: ("runtime", "talos.resource.definitions.block.DiscoveredVolumeSpec"),
    DISKS: ("runtime", "talos.resource.definitions.block.DiskSpec"),
    SYSTEM_INFORMATION: ("hardware", "talos.resource.definitions.hardware.SystemInformationSpec"),
    PROCESSORS: ("hardware", "talos.resource.definitions.hardware.ProcessorSpec"),
    MEMORY_MODULES: ("hardware", "talos.resource.definitions.hardware.MemoryModuleSpec"),
    PCI_DEVICES: ("hardware", "talos.resource.definitions.hardware.PCIDeviceSpec"),
    LINKS: ("network", "talos.resource.definitions.network.LinkStatusSpec"),
    CLUSTER_INFO: ("cluster", "talos.resource.definitions.cluster.InfoSpec"),
    MACHINE_TYPE: ("config", "resource.config.MachineTypeSpec"),
    MACHINE_CONFIG: ("config", "resource.config.MachineConfigSpec"),
    META_KEYS: ("runtime", "talos.resource.definitions.runtime.MetaKeySpec"),
    EXTENSIONS: ("runtime", "talos.resource.definitions.extensions.Layer"),
}
SCHEMATIC = "schematic"  # the extension that is none: what the image factory made the image from
_MAX_YAML = 1 << 20


def spec_of(type_: str, proto_spec: bytes, yaml_spec: str) -> Mapping[str, Any]:
    """The spec's fields. Known types are read from protobuf (names as in `wire.txt`), others from YAML."""
    known = SPECS.get(type_)
    if known is not None and (proto_spec or not yaml_spec):
        return as_mapping(_parsed(known[1], proto_spec))
    return _from_yaml(type_, yaml_spec)


def _parsed(name: str, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    from facts.talos.messages import message

    try:
        return message(name).FromString(data)
    except DecodeError as error:
        raise NodeError(
            f"its {name} can't be decoded", fix="check that its Talos version is supported"
        ) from error


def _from_yaml(type_: str, text: str) -> Mapping[str, Any]:
    import yaml

    if len(text) > _MAX_YAML:
        raise NodeError(
            f"its {type_} is {len(text)} bytes of YAML", fix="look at the node; this is not normal"
        )
    if "&" in text and "*" in text:  # alias bombs; Talos writes none
        raise NodeError(f"its {type_} uses YAML aliases", fix="look at the node; this is not normal")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NodeError(f"its {type_} is no YAML", fix="check that its Talos version is supported") from error
    return value if isinstance(value, dict) else {"value": value}


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A protobuf message as plain values, unset fields with their defaults; enums by number."""
    return {field.name: _plain(field, getattr(value, field.name)) for field in value.DESCRIPTOR.fields}


def _plain(field: Any, value: Any) -> Any:
    if field.message_type is None:
        return list(value) if field.is_repeated else value
    return [as_mapping(item) for item in value] if field.is_repeated else as_mapping(value)


def named_mapping(value: Any) -> Mapping[str, Any]:
    """As `as_mapping`, but enums by name, and None for a message that was not set."""
    return {
        field.name: [_named(field, item) for item in found] if field.is_repeated else found
        for field, found in ((field, _found(field, value)) for field in value.DESCRIPTOR.fields)
    }


def _found(field: Any, value: Any) -> Any:
    found = getattr(value, field.name)
    if field.is_repeated:
        return found
    unset = field.message_type is not None and not value.HasField(field.name)
    return None if unset else _named(field, found)


def _named(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return named_mapping(value)
    return _enum_name(field.enum_type.full_name, value) if field.enum_type is not None else value


def machine_stage(number: int) -> str:
    """4 → "running"; a number this program does not know → "unknown"."""
    name = _enum_name("talos.resource.definitions.enums.RuntimeMachineStage", number)
    return name.removeprefix("MACHINE_STAGE_").lower().replace("_", "-") if not name.isdigit() else "unknown"


def _enum_name(enum: str, number: int) -> str:
    from facts.talos.messages import enum_name  # protobuf: only who talks to Talos pays for it

    return enum_name(enum, number)
