"""The `Discovery` port: browses `_cto-node._tcp` by multicast DNS (RFC 6762, RFC 6763). Contacts no machine.

Of a TXT record only `v` and `enroll_id` are read. What contradicts what is worked out by `SeenList`;
this file only listens, asks, and keeps at most twenty questions open. IPv4 multicast only.
"""

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from zeroconf import DNSQuestionType, InterfaceChoice, IPVersion, RecordUpdateListener, Zeroconf
from zeroconf._dns import DNSAddress, DNSPointer, DNSQuestion, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from controller.adapters.interfaces import addresses_of
from controller.adapters.seen import SeenList
from controller.app.ports import Clock, Seen
from inventory.errors import TransportError

SERVICE = "_cto-node._tcp.local."
_IN_FLIGHT = 20
_SETTLE = 0.05  # seconds: one burst of answers makes one change
_TICK = 1.0  # seconds between looks at what ran out
_AT_ONCE = 25  # names doubted in one packet
_A, _SRV, _IN, _QUERY = 1, 33, 1, 0  # RFC 1035, RFC 2782


class MdnsDiscovery:
    """Every `watch` has its own sockets and its own list; nothing is remembered between two."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def watch(
        self, *, seconds: float, interfaces: Sequence[str] = ()
    ) -> AsyncGenerator[Sequence[Seen], None]:
        """The whole list each time it changed, for so many seconds; the first one at once, even if empty.

        `interfaces`: names or IPv4 addresses of this machine to listen on; none: all of them.
        """
        zeroconf = _open(interfaces)
        ear = _Ear(zeroconf.zeroconf, self._clock)
        zeroconf.zeroconf.async_add_listener(ear, None)
        # QM, to all: an answer to us alone may end at another program here that has port 5353, too.
        browser = AsyncServiceBrowser(
            zeroconf.zeroconf, [SERVICE], handlers=[_nothing], question_type=DNSQuestionType.QM
        )
        end = self._clock.monotonic() + seconds
        shown: Sequence[Seen] | None = None
        try:
            while (left := end - self._clock.monotonic()) > 0:
                now = ear.seen.snapshot(self._clock.monotonic())
                if shown is None or _essence(now) != _essence(shown):
                    shown = now
                    yield now
                await ear.changed_within(min(_SETTLE if ear.doubt() else _TICK, left))
                ear.ask()
        finally:
            await ear.stop()
            await browser.async_cancel()
            await zeroconf.async_close()


class _Ear(RecordUpdateListener):
    """Feeds the records that come in to the list, packet by packet, and asks for what is missing."""

    def __init__(self, zeroconf: Zeroconf, clock: Clock) -> None:
        self.seen = SeenList()
        self._zeroconf = zeroconf
        self._clock = clock
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, float] = {}
        self._doubted: set[str] = set()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[Any]) -> None:  # noqa: ARG002
        """Called by zeroconf with the records of one packet."""
        fresh = [update.new for update in records]
        for record in fresh:
            if record.name.lower().endswith(SERVICE):
                self._hear(record)
        hosts: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for record in fresh:
            if isinstance(record, DNSAddress) and record.ttl:
                hosts[record.name, record.type].append(record)
        for (host, _), together in hosts.items():
            addresses = [str(_address(record)) for record in together]
            life = max(record.ttl for record in together)
            self.seen.addresses(host, addresses, monotonic=self._clock.monotonic(), life=life)
        self._changed.set()

    def _hear(self, record: Any) -> None:
        at, monotonic, life = self._clock.now(), self._clock.monotonic(), float(record.ttl)
        if isinstance(record, DNSPointer):
            if life:
                self.seen.announce(_instance(record.alias), at)
            else:
                self.seen.goodbye(_instance(record.alias))
        elif isinstance(record, DNSService) and life:
            name = _instance(record.name)
            self.seen.service(name, record.server, record.port, at=at, monotonic=monotonic, life=life)
        elif isinstance(record, DNSText) and life:
            enroll_id = _enroll_id(record.text)
            self.seen.text(_instance(record.name), enroll_id, at=at, monotonic=monotonic, life=life)

    async def changed_within(self, seconds: float) -> None:
        """Return soon after something came in, or when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                await asyncio.sleep(_SETTLE)
        except TimeoutError:
            pass  # nothing came: the list may still have lost what ran out
        self._changed.clear()

    def ask(self) -> None:
        """Start what has to be asked: names we know nothing of, and names about to run out."""
        now = self._clock.monotonic()
        for name in self.seen.incomplete():
            if name not in self._resolving and now - self._asked.get(name, -60.0) > 3:
                self._asked[name] = now
                self._resolving[name] = asyncio.create_task(self._resolve(name))
        for name in self.seen.expiring(now, within=30):
            if now - self._asked.get(name, -60.0) > 10:
                self._asked[name] = now
                question = DNSOutgoing(_QUERY)
                question.add_question(DNSQuestion(f"{name}.{SERVICE}", _SRV, _IN))
                self._zeroconf.async_send(question)

    def doubt(self) -> bool:
        """Ask once more, and everybody, for the next names that look complete; whether more are waiting.

        A second claimant may have kept silent: who hears the same pointer record from another need not send
        his own (RFC 6762 section 7.4), and a name that is complete is not asked for again. Their addresses
        differ, so a question for those has to be answered by both.
        """
        waiting = [place for place in self.seen.places() if place[0] not in self._doubted]
        if waiting:
            question = DNSOutgoing(_QUERY)
            for name, host in waiting[:_AT_ONCE]:
                self._doubted.add(name)
                question.add_question(DNSQuestion(f"{name}.{SERVICE}", _SRV, _IN))
                question.add_question(DNSQuestion(host, _A, _IN))
            self._zeroconf.async_send(question)
        return len(waiting) > _AT_ONCE

    async def _resolve(self, name: str) -> None:
        try:
            async with self._slots:
                info = AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}")
                if await info.async_request(self._zeroconf, 3000):
                    self._learn(name, info)
        finally:
            del self._resolving[name]
            self._changed.set()

    def _learn(self, name: str, info: AsyncServiceInfo) -> None:
        """What zeroconf had in its cache reaches us only this way."""
        at, monotonic = self._clock.now(), self._clock.monotonic()
        host, port = info.server or "", info.port or 0
        self.seen.service(name, host, port, at=at, monotonic=monotonic, life=info.host_ttl)
        addresses = info.parsed_addresses(IPVersion.All)
        self.seen.addresses(host, addresses, monotonic=monotonic, life=info.host_ttl)
        self.seen.text(name, _enroll_id(info.text), at=at, monotonic=monotonic, life=info.other_ttl)

    async def stop(self) -> None:
        self._zeroconf.async_remove_listener(self)
        tasks = list(self._resolving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _open(interfaces: Sequence[str]) -> AsyncZeroconf:
    chosen = [address for name in interfaces for address in addresses_of(name)] or InterfaceChoice.All
    try:
        return AsyncZeroconf(interfaces=chosen, ip_version=IPVersion.V4Only)
    except OSError as error:
        raise TransportError(
            f"multicast DNS can't be used: {error}",
            where=", ".join(interfaces) or "all interfaces",
            fix="see cto doctor: an interface that is up, a route for 224.0.0.0/4, UDP port 5353 open",
        ) from error


def _address(record: DNSAddress) -> str:
    return str(ipaddress.ip_address(record.address))


def _instance(name: str) -> str:
    return name[: -len(SERVICE) - 1] if name.lower().endswith("." + SERVICE) else name


def _enroll_id(text: bytes | None) -> str:
    """The value of `enroll_id` in a TXT record of version 1; empty for anything else. Total."""
    data = (text or b"")[:1024]
    values: dict[bytes, bytes] = {}
    while data:
        entry, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        key, _, value = entry.partition(b"=")
        values.setdefault(key.lower(), value)
    if values.get(b"v") != b"1":
        return ""
    return str(values.get(b"enroll_id", b"")[:64], "ascii", "replace")


def _essence(seen: Sequence[Seen]) -> list[Seen]:
    """Without the times: a repeated announcement is no change."""
    return [replace(each, at=_EPOCH) for each in seen]


def _nothing(**_: Any) -> None:
    """The browser wants a handler; the records themselves tell more."""


_EPOCH = datetime.fromtimestamp(0, UTC)
