"""The address that control planes share (Talos' layer-2 VIP): the one that leads etcd answers there.

Talos elects the holder through etcd, too; no ARP is sent in the lab.
"""

import asyncio
from typing import TYPE_CHECKING

from iso.lab.kube import KubeServer
from iso.lab.talos.config import MachineConfig

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_AGAIN = 0.05  # seconds, while the one that held it lets go


async def hold_shared_address(node: "TalosInstance", kube: KubeServer) -> None:
    """For as long as the node runs."""
    while True:
        await node.shared.signal.until(lambda: bool(_wanted(node)))
        address = _wanted(node)
        try:
            server = await kube.listen(address)
        except OSError:
            await asyncio.sleep(_AGAIN)
            continue
        node.machine.log("vip-taken", address=address)
        try:
            await node.shared.signal.until(lambda address=address: _wanted(node) != address)  # type: ignore[misc]
        finally:
            server.close()


def _wanted(node: "TalosInstance") -> str:
    """The address that this node is to answer at now; empty if there is none."""
    if node.config is None or node.cluster is None or node.etcd.member is None:
        return ""
    return vip_of(node.config) if node.cluster.leader == node.etcd.member.id else ""


def vip_of(config: MachineConfig) -> str:
    """As a document of its own (from 1.12 on), or at an interface."""
    for document in config.documents:
        if document.get("kind") == "Layer2VIPConfig":
            return str(document.get("name") or "")
    for interface in config.section("machine", "network").get("interfaces") or ():
        for entry in (interface, *(interface.get("vlans") or ())):
            if entry.get("vip"):
                return str(entry["vip"].get("ip") or "")
    return ""
