"""The composition root: the only place that builds adapters.

Decides nothing; every part is made at its first use.
"""

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from controller.store import Home

if TYPE_CHECKING:  # heavy: imported where used
    from controller.app.enrollment.ports import EnrollmentNetwork
    from controller.app.feed_port import Feeds
    from controller.app.notify_port import Notifiers
    from controller.app.ports import Clock, Discovery, Images, KubeApi, Manifests, Runner, Ssh, TalosApi
    from controller.app.registry_port import Registries
    from controller.app.writing import Writing
    from controller.store import Store, StoreQueries
    from roles.secrets import SecretsBundle
    from web.backend import Backend


def new_id() -> str:
    """A fresh identifier: 16 hex digits."""
    return secrets.token_hex(8)


class Wiring:
    """Services of one home. Use `open_services`, which closes what was opened."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.new_id: Callable[[], str] = new_id
        self.bundles: MutableMapping[str, SecretsBundle] = {}

    @cached_property
    def clock(self) -> "Clock":
        from controller.adapters.clock import SystemClock

        return SystemClock()

    @cached_property
    def clock_synchronized(self) -> Callable[[], bool]:
        from controller.adapters.clock import synchronized

        return synchronized

    @cached_property
    def store(self) -> "Store":
        from controller.store import Store

        return Store.open(self.home, now=self.clock.now, new_id=self.new_id)

    @cached_property
    def queries(self) -> "StoreQueries":
        from controller.store import StoreQueries

        return StoreQueries(self.home)

    @cached_property
    def writing(self) -> "Writing":
        from controller.app.writing import Writing

        return Writing(lambda: open_services(self.home.root))

    @cached_property
    def backend(self) -> "Backend":
        """What the pages are made over."""
        from controller.app.calendar_desk import CalendarDesk
        from controller.app.inviting_desk import InvitingDesk
        from controller.app.orders_desk import EnrollmentDesk, RolloutDesk
        from controller.app.people import People
        from controller.app.updates_desk import UpdatesDesk
        from controller.app.upkeep_desk import UpkeepDesk
        from controller.store.records import StoreRecords
        from web.backend import Backend
        from web.shared import shared

        now = self.clock.now
        return Backend(
            queries=shared(self.queries, now=now, monotonic=self.clock.monotonic),
            records=StoreRecords(self.home, self.queries),
            access=People(self.queries, self.writing, now=now),
            clock=now,
            calendar=CalendarDesk(self.queries, self.writing, now=now, synchronized=self.clock_synchronized),
            enrolling=EnrollmentDesk(self.writing),
            rollouts=RolloutDesk(self.writing),
            updates=UpdatesDesk(self.writing),
            upkeep=UpkeepDesk(self.writing),
            inviting=InvitingDesk(self.writing),
        )

    @cached_property
    def ssh_public_key(self) -> str:
        from controller.adapters.ssh_keys import ensure_key

        return ensure_key(self.home.create().ssh_key)

    @cached_property
    def ssh(self) -> "Ssh":
        from controller.adapters.ssh import AsyncSsh
        from controller.adapters.ssh_keys import ensure_key

        ensure_key(self.home.create().ssh_key)
        return AsyncSsh(self.home.ssh_key, self.home.known_hosts)

    @cached_property
    def runner(self) -> "Runner":
        from controller.adapters.runner import ProcessRunner

        return ProcessRunner(self.home.ssh_key, self.ssh, log=self.home.logs / "runner.log")

    @cached_property
    def talos(self) -> "TalosApi":
        from controller.adapters.talos import GrpcTalosApi

        return GrpcTalosApi()

    @cached_property
    def kube(self) -> "KubeApi":
        from controller.adapters.kube import KubernetesApi

        return KubernetesApi()

    @cached_property
    def discovery(self) -> "Discovery":
        from controller.adapters.discovery import MdnsDiscovery

        return MdnsDiscovery(self.clock)

    @cached_property
    def images(self) -> "Images":
        from controller.adapters.images import ImageCache
        from controller.app.images_lock import LockedImages

        mirror = os.environ.get("CTO_IMAGES", "")
        return LockedImages(
            ImageCache(self.home.images), self.store, mirror=Path(mirror).absolute() if mirror else None
        )

    @cached_property
    def manifests(self) -> "Manifests":
        from controller.adapters.manifests import ManifestFiles

        mirror = os.environ.get("CTO_IMAGES", "")
        return ManifestFiles(
            self.home.manifests, self.store, mirror=Path(mirror).absolute() if mirror else None
        )

    @cached_property
    def feeds(self) -> "Feeds":
        from controller.adapters.feed import TufFeeds

        return TufFeeds(self.home.updates)

    @cached_property
    def registries(self) -> "Registries":
        from controller.adapters.registry import OciRegistries
        from controller.adapters.registry_login import login_of

        return OciRegistries(login_of(os.environ))

    @cached_property
    def notifiers(self) -> "Notifiers":
        from controller.adapters.notifiers import Registry

        return Registry()

    @cached_property
    def enrollment(self) -> "EnrollmentNetwork":
        from controller.adapters.herald import EnrollNetwork

        return EnrollNetwork(self.clock)

    def made(self, name: str) -> bool:
        """Whether a part was built (so that closing builds nothing)."""
        return name in self.__dict__

    async def aclose(self) -> None:
        """Closes what lives on the event loop: the runner's zygote, then connections."""
        for name in ("runner", "ssh"):
            if self.made(name):
                await self.__dict__[name].close()
                del self.__dict__[name]

    def close(self) -> None:
        for name in ("writing", "queries", "store"):
            if self.made(name):
                self.__dict__[name].close()
                del self.__dict__[name]


@contextmanager
def open_services(home: Path | None = None) -> Iterator[Wiring]:
    """The services of `home` ($CTO_HOME, else the platform's data directory)."""
    wiring = Wiring(Home.locate(home))
    try:
        yield wiring
    finally:
        wiring.close()


@asynccontextmanager
async def on_loop(wiring: Wiring) -> AsyncIterator[Wiring]:
    """For the time that an event loop runs: closes what was opened on it, also when cancelled."""
    try:
        yield wiring
    finally:
        import asyncio

        await asyncio.shield(wiring.aclose())
