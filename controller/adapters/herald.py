"""Announces the controller by multicast DNS while machines may enrol, and hears who else does.

The service is `_cto-controller._tcp`; its TXT record has a version and the first digits of the pin.
An announcement is a hint: a machine believes only the key, so a rival is shown and changes nothing.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from zeroconf import DNSQuestionType, IPVersion, ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from controller.adapters.enroll_door import TlsDoor
from controller.adapters.seen import display
from roles.enrollment.invitation import SERVICE

_TTL = 120
_AT_ONCE = 20  # rivals that are looked at; more are as suspicious as twenty
_RESOLVE = 3000  # milliseconds


class EnrollNetwork(TlsDoor):
    """The door and the herald: `controller.app.enrollment.ports.EnrollmentNetwork`."""

    @asynccontextmanager
    async def announce(
        self,
        name: str,
        endpoints: Sequence[tuple[str, int]],
        hint: str,
        *,
        rivals: Callable[[Sequence[str]], None],
    ) -> AsyncIterator[str]:
        addresses = [host for host, _ in endpoints if ":" not in host]
        if not addresses:
            yield "not announced by mDNS, which we do by IPv4 only: give machines the address"
            return
        try:
            zeroconf = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
        except OSError as error:
            yield f"not announced by mDNS ({error}): give machines the address"
            return
        ear = _Ear(zeroconf.zeroconf, set(endpoints), rivals)
        # QM, to all: an answer to us alone may end at another program here that has port 5353, too.
        browser = AsyncServiceBrowser(
            zeroconf.zeroconf, [SERVICE], handlers=[ear.heard], question_type=DNSQuestionType.QM
        )
        try:
            # No probing for a free name: who holds ours already must not keep us from announcing it.
            sending = await zeroconf.async_register_service(
                _info(name, addresses, endpoints[0][1], hint), cooperating_responders=True
            )
            await sending
            yield ""
        finally:
            await ear.stop()
            await browser.async_cancel()
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()


class _Ear:
    """Resolves what announces itself under our service, and tells who is not us."""

    def __init__(
        self, zeroconf: Zeroconf, own: set[tuple[str, int]], rivals: Callable[[Sequence[str]], None]
    ) -> None:
        self._zeroconf, self._own, self._rivals = zeroconf, own, rivals
        self._found: dict[str, tuple[str, ...]] = {}
        self._told: tuple[str, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()

    def heard(self, *, name: str, state_change: ServiceStateChange, **_: Any) -> None:
        """Called by zeroconf by keyword for every change of a name."""
        if state_change is ServiceStateChange.Removed:
            self._found.pop(name, None)
            self._tell()
        elif len(self._tasks) < _AT_ONCE:
            task = asyncio.ensure_future(self._resolve(name))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _resolve(self, name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if not await info.async_request(self._zeroconf, _RESOLVE):
            return
        places = {(address, info.port or 0) for address in info.parsed_addresses(IPVersion.V4Only)}
        foreign = sorted(places - self._own)
        if name in self._found or len(self._found) < _AT_ONCE:
            self._found[name] = tuple(f"{host}:{port}" for host, port in foreign)
            self._tell()

    def _tell(self) -> None:
        now = tuple(
            f"{display(name.removesuffix('.' + SERVICE))} at {', '.join(places)}"
            for name, places in sorted(self._found.items())
            if places
        )
        if now != self._told:
            self._told = now
            self._rivals(now)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _info(name: str, addresses: Sequence[str], port: int, hint: str) -> ServiceInfo:
    return ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        addresses=[socket.inet_aton(address) for address in addresses],
        port=port,
        properties={"v": "1", "enroll_id": hint},
        server=f"{name}.local.",
        host_ttl=_TTL,
        other_ttl=_TTL,
    )
