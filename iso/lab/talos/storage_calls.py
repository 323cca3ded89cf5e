"""Disks, wiping and resources (StorageService, COSI State) of one lab Talos."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_name, enum_number, message
from iso.lab.talos import storage
from iso.lab.talos.resources import rows

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance


class StorageCalls:
    """One method for each call: request message in, response message out."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    async def disks(self, _: Any) -> Any:
        entry = message("storage.Disks")()
        for disk in self._node.machine.disks.values():
            kind = "NVME" if disk.transport == "nvme" else "HDD" if disk.rotational else "SSD"
            entry.disks.add(
                device_name=f"/dev/{disk.name}",
                size=disk.size,
                model=disk.model,
                serial=disk.serial,
                wwid=disk.wwid,
                type=enum_number("storage.Disk.DiskType", kind),
                system_disk=disk is self._node.disk and not self._node.maintenance,
            )
        return message("storage.DisksResponse")(messages=[entry])

    async def block_device_wipe(self, request: Any) -> Any:
        node = self._node
        known = {volume.id: volume for volume in storage.volumes_of(node.machine.disks)}
        for one in request.devices:
            self._check_wipe(known, one)
        for one in request.devices:
            zeroes = enum_name("storage.BlockDeviceWipeDescriptor.Method", one.method) == "ZEROES"
            storage.wipe_volume(known[one.device], zeroes=zeroes, drop_partition=one.drop_partition)
            node.machine.log("talos-wiped", device=one.device, zeroes=zeroes, dropped=one.drop_partition)
        return message("storage.BlockDeviceWipeResponse")(messages=[message("storage.BlockDeviceWipe")()])

    def _check_wipe(self, known: Mapping[str, storage.VolumeInfo], one: Any) -> None:
        node, volume = self._node, known.get(one.device)
        if volume is None:
            raise GRPCError(Status.NOT_FOUND, f'blockdevice "{one.device}" not found')
        if one.drop_partition and not volume.index:
            raise GRPCError(Status.INVALID_ARGUMENT, f'blockdevice "{one.device}" is not a partition')
        if node.maintenance or one.skip_volume_check:
            return
        names = (volume.partition_label,) if volume.index else ("STATE",)
        in_use = volume.disk is node.disk and any(name in {"STATE", "EPHEMERAL", "META"} for name in names)
        if in_use or one.device == node.source.claimed:
            raise GRPCError(Status.FAILED_PRECONDITION, f'blockdevice "{one.device}" is in use by a volume')

    async def get(self, request: Any) -> Any:
        for id_, spec in rows(self._node, request.type, request.namespace):
            if id_ == request.id:
                reply = message("cosi.resource.GetResponse")()
                _fill(reply.resource, request, id_, spec)
                return reply
        raise GRPCError(
            Status.NOT_FOUND, f"resource {request.type}({request.namespace}/{request.id}) doesn't exist"
        )

    async def list(self, request: Any) -> AsyncIterator[Any]:
        for id_, spec in rows(self._node, request.type, request.namespace):
            reply = message("cosi.resource.ListResponse")()
            _fill(reply.resource, request, id_, spec)
            yield reply


def _fill(resource: Any, request: Any, id_: str, spec: Any) -> None:
    resource.metadata.namespace, resource.metadata.type = request.namespace, request.type
    resource.metadata.id, resource.metadata.version, resource.metadata.phase = id_, "1", "running"
    resource.spec.proto_spec = spec.SerializeToString()
    plain = {
        field.name.replace("_", ""): value for field, value in spec.ListFields() if not field.message_type
    }
    resource.spec.yaml_spec = yaml.safe_dump({key: _plain(value) for key, value in plain.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, bool | int | str) else [str(item) for item in value]
