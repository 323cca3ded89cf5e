"""The COSI resources that the lab's Talos shows, made afresh at each question."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_number, message
from facts.talos.resources import (
    CLUSTER_INFO,
    DISCOVERED_VOLUMES,
    DISKS,
    EXTENSIONS,
    LINKS,
    MACHINE_CONFIG,
    MACHINE_STATUS,
    MACHINE_TYPE,
    MEMORY_MODULES,
    META_KEYS,
    PCI_DEVICES,
    PROCESSORS,
    SCHEMATIC,
    SPECS,
    SYSTEM_INFORMATION,
)
from iso.lab.talos.bootloader import STAGED_IMAGE, STAGED_OPTIONS, UPGRADE_FALLBACK
from iso.lab.talos.storage import volumes_of

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

Row = tuple[str, Any]


def rows(node: "TalosInstance", type_: str, namespace: str) -> Iterator[Row]:
    """Id and spec of every resource of a type. An unknown type is NotFound, as with the real API."""
    make = _MAKERS.get(type_)
    if make is None:
        raise GRPCError(Status.NOT_FOUND, f'resource "{type_}" is not registered')
    if namespace == SPECS[type_][0]:
        yield from make(node)


def _spec(type_: str, **fields: Any) -> Any:
    return message(SPECS[type_][1])(**fields)


def _machine_status(node: "TalosInstance") -> Iterator[Row]:
    stage = "MACHINE_STAGE_" + node.stage.upper().replace("-", "_")
    spec = _spec(
        MACHINE_STATUS, stage=enum_number("talos.resource.definitions.enums.RuntimeMachineStage", stage)
    )
    spec.status.ready = node.ready
    for name, reason in node.unmet().items():
        spec.status.unmet_conditions.add(name=name, reason=reason)
    yield "machine", spec


def _volumes(node: "TalosInstance") -> Iterator[Row]:
    for volume in volumes_of(node.machine.disks):
        parent = volume.disk.name if volume.index else ""
        yield (
            volume.id,
            _spec(
                DISCOVERED_VOLUMES,
                size=volume.size,
                sector_size=volume.disk.sector_size,
                name=volume.filesystem,
                label=volume.label,
                partition_uuid=volume.partition_uuid,
                partition_type=volume.partition_type,
                partition_label=volume.partition_label,
                partition_index=volume.index,
                type="partition" if volume.index else "disk",
                parent=parent,
                dev_path=f"/dev/{volume.id}",
                parent_dev_path=f"/dev/{parent}" if parent else "",
            ),
        )


def _disks(node: "TalosInstance") -> Iterator[Row]:
    for disk in node.machine.disks.values():
        yield (
            disk.name,
            _spec(
                DISKS,
                size=disk.size,
                sector_size=disk.sector_size,
                model=disk.model,
                serial=disk.serial,
                wwid=disk.wwid,
                transport=disk.transport,
                rotational=disk.rotational,
                dev_path=f"/dev/{disk.name}",
            ),
        )


def _system(node: "TalosInstance") -> Iterator[Row]:
    hardware = node.machine.hardware
    if hardware is not None and not hardware.dmi:
        return  # a board without SMBIOS, such as small Arm ones
    dmi = hardware.dmi if hardware is not None else {}
    other = node.machine.faults.has("other-machine")
    yield (
        "systeminformation",
        _spec(
            SYSTEM_INFORMATION,
            uuid=node.machine.uuid[::-1] if other else node.machine.uuid,
            serial_number=f"{node.machine.serial}-other" if other else node.machine.serial,
            manufacturer=dmi.get("sys_vendor", ""),
            product_name=dmi.get("product_name", ""),
            bios_version=dmi.get("bios_version", ""),
        ),
    )


def _links(node: "TalosInstance") -> Iterator[Row]:
    """The loopback, the cards, and a bridge as Kubernetes makes them."""
    other = node.machine.faults.has("other-machine")
    yield "lo", _spec(LINKS, hardware_addr=bytes(6))
    for number, mac in enumerate(node.machine.macs):
        address = bytes.fromhex(mac.replace(":", ""))
        address = address[:-1] + bytes([address[-1] ^ 1]) if other else address
        yield f"enp{number}s0", _spec(LINKS, hardware_addr=address, permanent_addr=address)
    yield "cni0", _spec(LINKS, hardware_addr=bytes([2, 0, 0, 0, 0, 1]), kind="bridge")


def _processors(node: "TalosInstance") -> Iterator[Row]:
    cpu = node.machine.hardware.cpu if node.machine.hardware is not None else None
    for number in range(cpu.sockets if cpu else 0):
        if cpu is not None:
            yield (
                f"CPU-{number + 1}",
                _spec(
                    PROCESSORS,
                    socket=f"CPU{number + 1}",
                    manufacturer=cpu.vendor,
                    product_name=cpu.model,
                    core_count=cpu.cores,
                    core_enabled=cpu.cores,
                    thread_count=cpu.cores * cpu.threads,
                ),
            )


def _memory(node: "TalosInstance") -> Iterator[Row]:
    dimms = node.machine.hardware.dimms if node.machine.hardware is not None else None
    if dimms is None:
        return
    number, _, unit = dimms.size.partition(" ")
    size = int(number) * (1024 if unit == "GB" else 1)  # MiB
    for slot in range(dimms.count):
        fields = {"size": size, "device_locator": f"DIMM{slot + 1}", "speed": dimms.speed}
        yield (
            f"DIMM-{slot + 1}",
            _spec(MEMORY_MODULES, **fields, manufacturer=dimms.manufacturer, product_name=dimms.part),
        )


def _pci(node: "TalosInstance") -> Iterator[Row]:
    for line in node.machine.hardware.pci if node.machine.hardware is not None else ():
        address, *rest = shlex.split(line)  # as `lspci -Dmmnn` prints it: "Name [id]" three times
        (kind, kind_id), (vendor, vendor_id), (product, product_id) = (_name_and_id(one) for one in rest[:3])
        yield (
            address,
            _spec(
                PCI_DEVICES,
                **{"class": kind},
                class_id=f"0x{kind_id[:2]}",
                subclass_id=f"0x{kind_id[2:]}",
                vendor=vendor,
                vendor_id=f"0x{vendor_id}",
                product=product,
                product_id=f"0x{product_id}",
            ),
        )


def _name_and_id(text: str) -> tuple[str, str]:
    name, _, id_ = text.rpartition(" [")
    return name, id_.rstrip("]")


def _cluster_info(node: "TalosInstance") -> Iterator[Row]:
    if node.config is not None:
        id_ = str(node.config.section("cluster").get("id") or "")
        yield "current", _spec(CLUSTER_INFO, cluster_id=id_, cluster_name=node.config.cluster_name)


def _machine_type(node: "TalosInstance") -> Iterator[Row]:
    if node.config is not None:
        name = "CONTROL_PLANE" if node.config.control_plane else "WORKER"
        number = enum_number("resource.config.MachineType", name)
        yield "machine-type", _spec(MACHINE_TYPE, machine_type=number)


def _machine_config(node: "TalosInstance") -> Iterator[Row]:
    if node.config is not None:
        yield "v1alpha1", _spec(MACHINE_CONFIG, yaml_marshalled=node.config.text)


def _meta_keys(node: "TalosInstance") -> Iterator[Row]:
    for key in (UPGRADE_FALLBACK, STAGED_IMAGE, STAGED_OPTIONS):
        value = node.meta.get(key)
        if value is not None:
            yield f"0x{key:02x}", _spec(META_KEYS, value=value.decode(errors="replace"))


def _extensions(node: "TalosInstance") -> Iterator[Row]:
    if node.release.schematic:
        yield "0", _spec(EXTENSIONS, metadata={"name": SCHEMATIC, "version": node.release.schematic})


SENSITIVE = frozenset({MACHINE_CONFIG})  # of those that are shown here
_MAKERS: Mapping[str, Callable[["TalosInstance"], Iterator[Row]]] = {
    MACHINE_STATUS: _machine_status,
    DISCOVERED_VOLUMES: _volumes,
    DISKS: _disks,
    SYSTEM_INFORMATION: _system,
    LINKS: _links,
    PROCESSORS: _processors,
    MEMORY_MODULES: _memory,
    PCI_DEVICES: _pci,
    CLUSTER_INFO: _cluster_info,
    MACHINE_TYPE: _machine_type,
    MACHINE_CONFIG: _machine_config,
    META_KEYS: _meta_keys,
    EXTENSIONS: _extensions,
}
