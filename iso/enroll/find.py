"""Where a controller may be: as it was typed or given, else as mDNS says. Hints all: the key decides."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from zeroconf import DNSQuestionType, InterfaceChoice, IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from roles.enrollment.invitation import SERVICE, Invitation

_MOST = 500  # announcements that are looked at in one go; a liar may send any number
_AT_ONCE = 20  # questions that are open at a time
_RESOLVE = 3000  # milliseconds
_SETTLE = 0.5  # seconds after the first: others may be as quick


@dataclass(frozen=True, slots=True)
class Announced:
    """`hint`: the first digits of the pin, as anybody may announce them."""

    place: Invitation
    hint: str = ""


class Finder(Protocol):
    async def look(self, seconds: float) -> Sequence[Announced]:
        """What is announced; as soon as there is anything, else after that time."""
        ...


@dataclass(slots=True)
class MdnsFinder:
    """Each look has its own sockets, so a network that came up meanwhile is heard."""

    interfaces: Sequence[str] = ()  # addresses of this machine; none: all

    async def look(self, seconds: float) -> Sequence[Announced]:
        chosen: Any = list(self.interfaces) or InterfaceChoice.All
        try:
            zeroconf = AsyncZeroconf(interfaces=chosen, ip_version=IPVersion.V4Only)
        except OSError:  # no network yet
            await asyncio.sleep(seconds)
            return ()
        ear = _Ear(zeroconf)
        # QM, to all: an answer to us alone may end at another program here that has port 5353, too.
        browser = AsyncServiceBrowser(
            zeroconf.zeroconf, [SERVICE], handlers=[ear.heard], question_type=DNSQuestionType.QM
        )
        try:
            async with asyncio.timeout(seconds):
                await ear.first.wait()
                await asyncio.sleep(_SETTLE)
        except TimeoutError:
            pass  # whatever came until now
        finally:
            await ear.stop()
            await browser.async_cancel()
            await zeroconf.async_close()
        return tuple(ear.found)


@dataclass(slots=True)
class SharedFinder:
    """One look for many machines of one process; what was found holds for a moment."""

    finder: Finder
    fresh: float = 2.0  # seconds
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _at: float = float("-inf")
    _found: Sequence[Announced] = ()

    async def look(self, seconds: float) -> Sequence[Announced]:
        async with self._lock:
            if not self._found or time.monotonic() - self._at > self.fresh:
                self._found = await self.finder.look(seconds)
                self._at = time.monotonic()
            return self._found


class _Ear:
    def __init__(self, zeroconf: AsyncZeroconf) -> None:
        self.found: list[Announced] = []
        self.first = asyncio.Event()
        self._zeroconf = zeroconf
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def heard(self, *, name: str, state_change: ServiceStateChange, **_: Any) -> None:
        """Called by zeroconf by keyword for every change of a name."""
        known = name in self._tasks or len(self._tasks) >= _MOST
        if state_change is not ServiceStateChange.Removed and not known:
            self._tasks[name] = asyncio.ensure_future(self._resolve(name))

    async def _resolve(self, name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        async with self._slots:
            answered = await info.async_request(self._zeroconf.zeroconf, _RESOLVE)
        if not answered or not info.port:
            return
        hint = info.properties.get(b"enroll_id") or b""
        for address in info.parsed_addresses(IPVersion.V4Only)[:4]:
            self.found.append(Announced(Invitation(address, info.port), hint[:64].decode("ascii", "replace")))
            self.first.set()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
