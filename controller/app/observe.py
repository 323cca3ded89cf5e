"""What is true of the nodes, read before anything is done to them. Changes no machine.

Two cases need it. After a restore the store may be older than the fleet: every node is read before anything
is changed. And a node that was told to reboot may still be in the bootstrap environment, or be there again.
"""

import asyncio
from collections.abc import Iterable, Mapping

from controller.app.bundles import secrets_name
from controller.app.context import TALOS_PORT, target_of
from controller.app.desired import bundle_of
from controller.app.identity import mint
from controller.app.services import Services
from controller.app.steps.reboot import BOOT_ID, environment_again, ordered_boot
from controller.store import NodeRow
from inventory.errors import FleetError, HostKeyMismatch, Unreachable
from inventory.fleet import Node
from inventory.lifecycle import NodeState

ACTOR = "engine"
_LIVE = (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)
_AT_ONCE = 32
_LOST = "power it on and check its network, then run cto apply again"
_GONE = "; if it is gone for good: cto store resume --without {name}"


async def observe(
    services: Services, nodes: Mapping[str, Node], begun: Iterable[str]
) -> dict[str, FleetError]:
    """Reads what has to be read (of `begun`: those told to reboot) and puts the store right about it.

    Returns why some could not be read.
    """
    restored = set(services.store.unread())
    rows = [row for name in sorted(restored | set(begun)) if (row := services.store.node(name)) is not None]
    rows = [row for row in rows if row.name in restored or row.state is NodeState.BOOTING]
    gate, failed = asyncio.Semaphore(_AT_ONCE), {}

    async def one(row: NodeRow) -> None:
        try:
            async with gate:
                await _read(services, row, nodes.get(row.name), restored=row.name in restored)
        except FleetError as error:
            # One that was told to reboot may be on its way: waiting for it is the next step's matter.
            if row.name in restored:
                failed[row.name] = error
            elif isinstance(error, HostKeyMismatch):
                failed[row.name] = environment_again(row.name)
        else:
            if row.name in restored:
                services.store.mark_observed(row.name)

    await asyncio.gather(*map(one, rows))
    return failed


async def _read(services: Services, row: NodeRow, node: Node | None, *, restored: bool) -> None:
    """Raises FleetError if neither Talos nor the bootstrap environment answers as the one we know."""
    version = await _talos_version(services, row, node)
    if version:
        services.store.touch(row.name, talos=version)
        if row.state not in (*_LIVE, NodeState.BOOTING):
            reason = "Talos answers with the cluster's certificates"
            services.store.move(row.name, NodeState.JOINED, reason=reason, actor=ACTOR)
        return
    boot = await _boot_id(services, row, _LOST + (_GONE.format(name=row.name) if restored else ""))
    services.store.touch(row.name)
    if row.state is NodeState.BOOTING and boot == ordered_boot(services, row.name):
        reason = "it still is in the boot that was to end"
        services.store.move(row.name, NodeState.BOOT_SET, reason=reason, actor=ACTOR)
    elif row.state in (*_LIVE, NodeState.BOOTING):
        reason = "the bootstrap environment answers with the pinned key"
        services.store.move(row.name, NodeState.PINNED, reason=reason, actor=ACTOR)


async def _talos_version(services: Services, row: NodeRow, node: Node | None) -> str:
    """Of the Talos that shows the cluster's own certificate; empty if none does."""
    if not services.store.has_secret(secrets_name(row.cluster)):
        return ""
    identity = mint(services, bundle_of(services, row.cluster))
    name = (node.talos_address if node else "") or row.address
    try:
        async with (
            services.ssh.forward(target_of(row), TALOS_PORT) as (host, port),
            services.talos.connect(host, port, identity, server_name=name) as talos,
        ):
            return (await talos.version()).tag.removeprefix("v")
    except FleetError:
        return ""


async def _boot_id(services: Services, row: NodeRow, fix: str) -> str:
    try:
        done = await services.ssh.run(target_of(row), BOOT_ID, deadline=20)
    except Unreachable as error:
        what = f"neither Talos nor the bootstrap environment answers ({error.what})"
        raise Unreachable(what, where=row.name, fix=fix) from error
    return done.stdout.decode(errors="replace").strip()
