"""The COSI resources that the lab's Talos shows, made afresh at each question."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_number, message
from facts.talos.resources import DISCOVERED_VOLUMES, DISKS, MACHINE_STATUS, SPECS, SYSTEM_INFORMATION
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
    unmet = node.unmet()
    spec.status.ready = node.stage == "maintenance" or (node.stage == "running" and not unmet)
    if node.stage != "maintenance":
        for name, reason in unmet.items():
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
    spec = _spec(SYSTEM_INFORMATION, uuid=node.machine.uuid, serial_number=node.machine.serial)
    yield "systeminformation", spec


_MAKERS: Mapping[str, Callable[["TalosInstance"], Iterator[Row]]] = {
    MACHINE_STATUS: _machine_status,
    DISCOVERED_VOLUMES: _volumes,
    DISKS: _disks,
    SYSTEM_INFORMATION: _system,
}
