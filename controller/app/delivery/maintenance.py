"""Delivery by pushing the configuration to a node that waits in maintenance mode.

Such a node shows a self-signed certificate, made anew at each boot, and asks for none. A control plane's
configuration carries the cluster's keys, so it is sent only to a key that the operator compared with the
node's console, or on a segment that the site file declares as trusted; and only to the machine whose facts
we know.
"""

from controller.app.context import TALOS_PORT, NodeJob
from controller.app.delivered import keep_delivered
from controller.app.ports import TalosNode
from facts.talos.resources import SYSTEM_INFORMATION
from inventory.errors import HostKeyMismatch, RefusedError
from roles.installer import InstallLayout


class Maintenance:
    tools: tuple[str, ...] = ()
    drops = False
    span = 0

    async def put(self, job: NodeJob, layout: InstallLayout) -> None:
        """Nothing of it is on the disk before Talos keeps it."""

    async def holds(self, job: NodeJob, layout: InstallLayout) -> bool:  # noqa: ARG002 - the contract
        return True

    async def while_silent(self, job: NodeJob) -> None:
        talos = job.services.talos
        async with job.services.ssh.forward(job.target, TALOS_PORT) as (host, port):
            shown = await talos.maintenance_key(host, port)
            if not shown or shown == job.pushed:
                return  # not in maintenance mode yet, or no longer for long
            confirmed = str(job.record.get("maintenance_key", ""))
            trusted = job.node.delivery.trust_segment
            if shown != confirmed and not trusted:
                raise _unconfirmed(job.node.name, confirmed)
            pin = confirmed if shown == confirmed else ""
            async with talos.connect_maintenance(
                host, port, fingerprint=pin, trusted_segment=trusted
            ) as node:
                await _require_same_machine(job, node)
                keep_delivered(job)
                await node.apply_configuration(job.want().config.text.encode(), mode="AUTO")
                job.pushed = shown


async def _require_same_machine(job: NodeJob, node: TalosNode) -> None:
    """Addresses may change with the system. SMBIOS says who it is; some firmware garbles one of both."""
    known = job.want().hardware
    found = await node.resource(SYSTEM_INFORMATION, "hardware", "systeminformation")
    pairs = ((known.uuid, found.get("uuid")), (known.serial, found.get("serial_number"))) if known else ()
    compared = [ours.lower() == str(theirs).lower() for ours, theirs in pairs if ours and theirs]
    if compared and not any(compared):
        raise HostKeyMismatch(
            "the node in maintenance mode is another machine than the one that was installed "
            f"(UUID {found.get('uuid')})",
            where=job.node.name,
            fix="another machine holds its address: check addresses, then run cto apply again",
        )


def _unconfirmed(name: str, confirmed: str) -> RefusedError:
    known = (
        "another key than the confirmed one (it is new after each boot)" if confirmed else "an unknown key"
    )
    return RefusedError(
        f"it waits in maintenance mode with {known}; a configuration is not pushed to that",
        where=name,
        fix=f"read the fingerprint on its console: cto node confirm {name}; then run cto apply again",
    )
