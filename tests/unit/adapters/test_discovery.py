"""The browser against real responders of the zeroconf library, on loopback. Other tests may announce there too."""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from controller.adapters.discovery import SERVICE, MdnsDiscovery
from controller.app.ports import Seen
from inventory.errors import OperatorError


class Wall:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Responder:
    """One machine that announces services; two of them may announce the same name."""

    def __init__(self) -> None:
        self._zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)

    async def announce(self, name: str, address: str, *, port: int = 22, enroll_id: str = "") -> ServiceInfo:
        info = ServiceInfo(
            SERVICE,
            f"{name}.{SERVICE}",
            port=port,
            addresses=[socket.inet_aton(address)],
            properties={"v": "1", "enroll_id": enroll_id or name, "role": "controlplane"},
            server=f"{name}.local.",
        )
        await self._zeroconf.async_register_service(info, cooperating_responders=True)
        return info

    async def withdraw(self, info: ServiceInfo) -> None:
        await (await self._zeroconf.async_unregister_service(info))

    async def close(self) -> None:
        await self._zeroconf.async_close()


@pytest.fixture
async def responders() -> AsyncIterator[list[Responder]]:
    made = [Responder(), Responder()]
    yield made
    for responder in made:
        await responder.close()


def name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


def mine(seen: Sequence[Seen], *names: str) -> dict[str, Seen]:
    return {each.instance: each for each in seen if each.instance in names}


async def test_a_machine_comes_and_goes(responders) -> None:
    node = name()
    info = None
    async with (
        asyncio.timeout(20),
        aclosing(MdnsDiscovery(Wall()).watch(seconds=20, interfaces=["lo"])) as lists,
    ):
        async for seen in lists:
            found = mine(seen, node)
            if info is None:
                info = await responders[0].announce(node, "127.0.0.1", enroll_id="0a1b2c3d")
            elif found and info is not True:
                assert (found[node].addresses, found[node].port) == (("127.0.0.1",), 22)
                assert not found[node].conflict
                if found[node].enroll_id:
                    assert found[node].enroll_id == "0a1b2c3d"
                    await responders[0].withdraw(info)
                    info = True
            elif info is True and not found:
                return
    pytest.fail("it never went")


async def test_machines_that_were_there_before_are_found(responders) -> None:
    nodes = [name() for _ in range(30)]
    for number, node in enumerate(nodes):
        await responders[0].announce(node, f"127.0.1.{number + 1}")
    async with (
        asyncio.timeout(20),
        aclosing(MdnsDiscovery(Wall()).watch(seconds=20, interfaces=["127.0.0.1"])) as lists,
    ):
        async for seen in lists:
            found = mine(seen, *nodes)
            if len(found) == 30 and all(each.enroll_id for each in found.values()):
                assert not any(each.conflict for each in found.values())
                return


async def test_a_spoofed_answer_is_flagged_and_the_first_address_stays(responders) -> None:
    node = name()
    await responders[0].announce(node, "127.0.0.1")
    spoofed = False
    async with (
        asyncio.timeout(20),
        aclosing(MdnsDiscovery(Wall()).watch(seconds=20, interfaces=["lo"])) as lists,
    ):
        async for seen in lists:
            found = mine(seen, node)
            if found and not spoofed:
                await responders[1].announce(node, "127.6.6.6", enroll_id="evil")
                spoofed = True
            elif found and found[node].conflict and len(found[node].addresses) == 2:
                assert found[node].addresses == ("127.0.0.1", "127.6.6.6")
                return


async def test_the_first_list_comes_at_once_and_the_watch_ends() -> None:
    async with aclosing(MdnsDiscovery(Wall()).watch(seconds=0.2, interfaces=["lo"])) as lists:
        assert len([each async for each in lists]) >= 1


async def test_an_unknown_interface_names_the_known_ones() -> None:
    with pytest.raises(OperatorError, match="no interface eth99") as caught:
        await anext(MdnsDiscovery(Wall()).watch(seconds=1, interfaces=["eth99"]))
    assert "lo" in caught.value.fix
