"""What enrolment needs of the network. `controller.adapters.enroll_door` and `.herald` implement it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

Fault = Literal["oversize", "slow", "gone"]


class PeerFault(Exception):
    """The other side did what ends the conversation; it is told nothing."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault)


class Peer(Protocol):
    """One connection, inside TLS. Messages are at most as long as the protocol allows."""

    @property
    def address(self) -> str: ...
    async def send(self, message: bytes) -> None: ...
    async def receive(self) -> bytes:
        """One message, within the deadline. Raises PeerFault."""
        ...

    def settled(self) -> None:
        """It proved who it is: it no longer counts as one that says nothing."""
        ...

    async def silent(self, seconds: float) -> bool:
        """Waits; False as soon as the other side leaves or says something, which it must not."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The controller's key for enrolment, PEM, and SHA-256 of its SPKI."""

    certificate: bytes
    key: bytes = field(repr=False)
    pin: bytes


class EnrollmentNetwork(Protocol):
    def addresses(self, interfaces: Sequence[str]) -> Sequence[str]:
        """Of the named interfaces. Raises OperatorError where none is named and there is a choice."""
        ...

    def listen(
        self,
        addresses: Sequence[str],
        port: int,
        identity: Identity,
        *,
        attend: Callable[[Peer], Awaitable[None]],
        refused: Callable[[str, str, str], None],
    ) -> AbstractAsyncContextManager[Sequence[tuple[str, int]]]:
        """Accepts until left, and then cuts all connections; yields (address, port) of each socket.

        `refused(reason, address, detail)` is told of connections that never got to `attend`.
        """
        ...

    def announce(
        self,
        name: str,
        endpoints: Sequence[tuple[str, int]],
        hint: str,
        *,
        rivals: Callable[[Sequence[str]], None],
    ) -> AbstractAsyncContextManager[str]:
        """`_cto-controller._tcp` until left; yields why that can't be done, or nothing.

        `rivals` is told of others that announce the same service, each time they change.
        """
        ...
