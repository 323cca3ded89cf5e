"""Delivery by pushing the configuration to a node that waits in maintenance mode.

Such a node shows a self-signed certificate, made anew at each boot, and asks for none. A control plane's
configuration carries the cluster's keys, so it is sent only to a key that the operator compared with the
node's console, or on a segment that the site file declares as trusted; and only to the machine whose facts
we know.
"""

from controller.app.context import TALOS_PORT, NodeJob
from controller.app.delivered import keep_delivered
from controller.app.recognize import require_same
from inventory.errors import RefusedError
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
                await require_same(job.want().hardware, node, name=job.node.name)
                keep_delivered(job)
                await node.apply_configuration(job.want().config.text.encode(), mode="AUTO")
                job.pushed = shown


def _unconfirmed(name: str, confirmed: str) -> RefusedError:
    known = (
        "another key than the confirmed one (it is new after each boot)" if confirmed else "an unknown key"
    )
    return RefusedError(
        f"it waits in maintenance mode with {known}; a configuration is not pushed to that",
        where=name,
        fix=f"read the fingerprint on its console: cto node confirm {name}; then run cto apply again",
    )
