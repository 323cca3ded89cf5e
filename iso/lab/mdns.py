"""mDNS advertisements of the lab's machines on the loopback interface (RFC 6762), and a liar for tests.

One responder for all machines. A missing multicast route is reported, not fatal: machines can still be
reached by address.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

SERVICE = "_cto-node._tcp.local."
_TTL = 120


class Mdns:
    """Announces and withdraws. See `iso.lab.machine.Advertiser`."""

    def __init__(self, *, problem: Callable[[str], None], interface: str = "127.0.0.1") -> None:
        self._interface, self._problem = interface, problem
        self._zeroconf: AsyncZeroconf | None = None
        self._liar: AsyncZeroconf | None = None
        self._infos: dict[str, ServiceInfo] = {}

    async def start(self) -> None:
        try:
            self._zeroconf = self._new()
        except OSError as error:
            self._problem(f"no mDNS on {self._interface}: {error}; machines are reached by address only")

    def _new(self) -> AsyncZeroconf:
        return AsyncZeroconf(interfaces=[self._interface], ip_version=IPVersion.V4Only)

    async def announce(self, name: str, address: str, port: int, enroll_id: str) -> None:
        if self._zeroconf is None:
            return
        info = _info(name, address, port, enroll_id)
        self._infos[name] = info
        # Names are the lab's own, so there is no probing for a free one first.
        sending = await self._zeroconf.async_register_service(info, cooperating_responders=True)
        asyncio.ensure_future(_quietly(sending))  # noqa: RUF006 - ends by itself after three packets

    async def withdraw(self, name: str, *, silently: bool = False) -> None:
        """Goodbye packets; `silently` (the power failed) only stops answering."""
        info = self._infos.pop(name, None)
        if info is None or self._zeroconf is None:
            return
        if silently:
            self._zeroconf.zeroconf.registry.async_remove(info)
            return
        sending = await self._zeroconf.async_unregister_service(info)
        asyncio.ensure_future(_quietly(sending))  # noqa: RUF006 - ends by itself after three packets

    async def spoof(self, name: str, address: str, port: int, enroll_id: str) -> None:
        """A second responder claims the same name with another address."""
        if self._liar is None:
            self._liar = self._new()
        await self._liar.async_register_service(
            _info(name, address, port, enroll_id), cooperating_responders=True
        )

    async def stop_spoofing(self) -> None:
        if self._liar is not None:
            liar, self._liar = self._liar, None
            await liar.async_unregister_all_services()
            await liar.async_close()

    async def stop(self) -> None:
        for zeroconf in (self._liar, self._zeroconf):
            if zeroconf is not None:
                await zeroconf.async_unregister_all_services()
                await zeroconf.async_close()
        self._zeroconf = self._liar = None


async def _quietly(sending: "asyncio.Future[None] | object") -> None:
    with contextlib.suppress(Exception):
        await sending  # type: ignore[misc]


def _info(name: str, address: str, port: int, enroll_id: str) -> ServiceInfo:
    return ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        addresses=[socket.inet_aton(address)],
        port=port,
        properties={"v": "1", "enroll_id": enroll_id},
        server=f"{name}.local.",
        host_ttl=_TTL,
        other_ttl=_TTL,
    )
