"""Disks, volumes, hardware, services and META of one node by the Talos API. Chooses no disk."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.adapters.talos_node import NodeCalls
from controller.app.ports import Volume
from controller.app.talos_port import MachineMarks, NodeDisk, NodeHardware
from facts.talos.messages import enum_number, message
from facts.talos.resources import (
    ACTIVE_CONFIG,
    DISCOVERED_VOLUMES,
    DISKS,
    EXTENSIONS,
    LINKS,
    MEMORY_MODULES,
    PCI_DEVICES,
    PROCESSORS,
    SCHEMATIC,
    SYSTEM_INFORMATION,
)


class HardwareCalls(NodeCalls):
    async def volumes(self) -> Sequence[Volume]:
        # A resource's id is the device name ("sda5"); the spec's own `name` is the file system's kind.
        found = []
        async for id_, spec in self._list(DISCOVERED_VOLUMES, "runtime"):
            found.append(
                Volume(
                    id_,
                    spec["label"],
                    spec["partition_label"],
                    spec["partition_uuid"],
                    spec["dev_path"],
                    spec["parent_dev_path"],
                )
            )
        return tuple(found)

    async def running_config(self) -> str:
        spec = await self.resource(*ACTIVE_CONFIG)
        return bytes(spec["yaml_marshalled"]).decode(errors="replace")

    async def schematic(self) -> str:
        found = ""
        async for _, spec in self._list(EXTENSIONS, "runtime"):
            if spec["metadata"]["name"] == SCHEMATIC:
                found = str(spec["metadata"]["version"])
        return found

    async def disks(self) -> Sequence[NodeDisk]:
        return tuple([_disk(id_, spec) async for id_, spec in self._list(DISKS, "runtime")])

    async def hardware(self) -> NodeHardware:
        system = await self._rows(SYSTEM_INFORMATION)
        return NodeHardware(
            system[0] if system else {},
            await self._rows(PROCESSORS),
            await self._rows(MEMORY_MODULES),
            await self._rows(PCI_DEVICES),
        )

    async def _rows(self, type_: str) -> tuple[Mapping[str, Any], ...]:
        return tuple([spec async for _, spec in self._list(type_, "hardware")])

    async def marks(self) -> MachineMarks:
        system = next(iter(await self._rows(SYSTEM_INFORMATION)), {})
        links = [spec async for _, spec in self._list(LINKS, "network")]
        cards = [spec for spec in links if not spec["kind"]]  # no bridges, bonds and pods' ends
        found = [bytes(spec["permanent_addr"] or spec["hardware_addr"]) for spec in cards]
        macs = frozenset(address.hex(":") for address in found if len(address) == 6 and any(address))
        return MachineMarks(system.get("uuid", ""), system.get("serial_number", ""), macs)

    async def wipe(self, device: str, *, drop_partition: bool) -> None:
        descriptor = message("storage.BlockDeviceWipeDescriptor")(
            device=device.removeprefix("/dev/"),
            # FAST clears both ends of the device only; secrets lie in between.
            method=enum_number("storage.BlockDeviceWipeDescriptor.Method", "ZEROES"),
            drop_partition=drop_partition,
        )
        request = message("storage.BlockDeviceWipeRequest")(devices=[descriptor])
        await self._calls.unary("/storage.StorageService/BlockDeviceWipe", request, deadline=300)

    async def services(self) -> Mapping[str, str]:
        entry = await self._read("ServiceList")
        return {service.id: f"{service.state}/{_health(service.health)}" for service in entry.services}

    async def service_restart(self, service: str) -> None:
        await self._act("ServiceRestart", message("machine.ServiceRestartRequest")(id=service), deadline=60)

    async def meta_write(self, key: int, value: bytes) -> None:
        await self._act("MetaWrite", message("machine.MetaWriteRequest")(key=key, value=value), deadline=30)

    async def meta_delete(self, key: int) -> None:
        await self._act("MetaDelete", message("machine.MetaDeleteRequest")(key=key), deadline=30)


def _health(health: Any) -> str:
    if health.unknown:
        return "unknown"
    return "healthy" if health.healthy else "unhealthy"


def _disk(id_: str, spec: Mapping[str, Any]) -> NodeDisk:
    return NodeDisk(
        id_,
        spec["size"],
        spec["model"],
        spec["serial"],
        spec["wwid"],
        spec["transport"],
        rotational=spec["rotational"],
        readonly=spec["readonly"],
        cdrom=spec["cdrom"],
        dev_path=spec["dev_path"],
        symlinks=tuple(spec["symlinks"]),
    )
