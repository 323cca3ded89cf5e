"""A controller's store and door on a loopback address, and machines that enrol there. Nothing is simulated."""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncssh
import pytest

from controller.app.enrollment.host import host, open_window
from controller.app.enrollment.identity import pin
from controller.wiring import open_services
from inventory.fleet import Cluster, Fleet, Node, Site
from inventory.openssh import parse_public_key
from iso.enroll.client import Enroller, Pauses
from iso.enroll.kept import Kept
from roles.enrollment import node as protocol
from roles.enrollment.invitation import Invitation
from roles.enrollment.token import Token

QUICK = Pauses(look=1.0, retry=0.1, refused=0.1)
CAP = 90.0  # seconds; other work on this machine may be in the way


def fleet(*nodes):
    """(name, role, hardware) each, at berlin."""
    made = {name: Node(name, "berlin", "kn", role, hardware=hardware) for name, role, hardware in nodes}
    return Fleet(
        "acme",
        {"berlin": Site("berlin", "acme", "Europe/Berlin", ("kn",))},
        {"kn": Cluster("kn", "berlin", "https://10.0.0.2:6443", "1.36.3", tuple(made))},
        made,
    )


class Shifted:
    """The real clock, but for what a test adds."""

    def __init__(self):
        self.ahead = timedelta(0)

    def now(self):
        return datetime.now(UTC) + self.ahead

    def monotonic(self):
        return asyncio.get_running_loop().time() + self.ahead.total_seconds()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


@dataclass
class Machine:
    """One that was started from an image; `address` is where it connects from."""

    token: str
    pin: bytes
    place: Invitation
    address: str = "127.0.0.50"
    hardware: dict = field(default_factory=lambda: {"serial": "S-1"})
    seed: bytes = field(default_factory=lambda: os.urandom(32))
    key: str = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    )
    states: list = field(default_factory=list)
    finder: object = None

    def __post_init__(self):
        self.kept = Kept(self.seed)
        self.event = asyncio.Event()

    @property
    def blob(self):
        return parse_public_key(self.key).blob

    @property
    def line(self):
        return parse_public_key(self.key).line

    def node(self):
        return protocol.Node("cto-1", self.seed, self.blob, self.hardware)

    def report(self, state):
        self.states.append(state)
        self.event.set()

    def enroller(self, **options):
        return Enroller(
            self.node(),
            Token.from_text(self.token),
            self.kept,
            self.report,
            pin=self.pin,
            places=[self.place] if self.place else [],
            finder=self.finder,
            pauses=QUICK,
            local=self.address,
            **options,
        )

    @asynccontextmanager
    async def asking(self, **options):
        """The program runs meanwhile; yields its task."""
        task = asyncio.ensure_future(self.enroller(**options).run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, state):
        """The first report of that state from now on, or the one that is there already."""
        async with asyncio.timeout(CAP):
            while True:
                found = next((each for each in self.states if each.state == state), None)
                if found is not None:
                    return found
                self.event.clear()
                await self.event.wait()

    @property
    def words(self):
        return self.states[-1].words


class Controller:
    """`opened()` listens on 127.0.0.1 with a free port for as long as its block lasts."""

    def __init__(self, services):
        self.services, self.store = services, services.store
        self.port = 0

    def token(self, *, role="worker", uses=1, life=timedelta(hours=1), site="berlin"):
        made = Token.make(os.urandom(23))
        self.store.create_token(made, site=site, role=role, uses=uses, life=life, actor="ada")
        return made.to_text()

    def open(self, minutes=60, interfaces=("127.0.0.1",)):
        until = self.services.clock.now() + timedelta(minutes=minutes)
        self.store.open_enrollment(until=until, interfaces=interfaces, port=self.port, actor="ada")

    @asynccontextmanager
    async def opened(self, **options):
        self.open(**options)
        async with self.hosting() as place:
            yield place

    @asynccontextmanager
    async def hosting(self):
        task = asyncio.ensure_future(host(self.services))
        try:
            async with asyncio.timeout(CAP):
                while not self.endpoints() and not task.done():
                    await asyncio.sleep(0.02)
            if task.done():
                task.result()
            yield Invitation.parse(self.endpoints()[0])
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def endpoints(self):
        window = open_window(self.services)
        return window.endpoints if window else ()

    @property
    def pin(self):
        return bytes.fromhex(pin(self.services))

    def machine(self, place, token=None, **options):
        return Machine(token or self.token(), self.pin, place, **options)

    def audit(self):
        return [row["action"] for row in self.store._rows("SELECT action FROM audit ORDER BY seq")]

    def reasons(self):
        return {row.reason: row for row in self.store.enrollment_refusals()}

    async def until(self, condition):
        """As soon as `condition()` holds; its value."""
        async with asyncio.timeout(CAP):
            while not (found := condition()):
                await asyncio.sleep(0.02)
            return found


@pytest.fixture
def clock():
    return Shifted()


@pytest.fixture
def services(tmp_path, clock):
    with open_services(tmp_path / "home") as wiring:
        wiring.__dict__["clock"] = clock
        wiring.store.declare(
            fleet(("berlin-w-1", "worker", {}), ("berlin-cp-1", "controlplane", {})), actor="ada"
        )
        yield wiring


@pytest.fixture
def controller(services):
    return Controller(services)
