"""Time and SSH as the use cases need them. Apart from the other ports, so that asking for facts starts fast.

`controller.app.ports` has these names too, for everybody else.
"""

from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""
        ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """How one machine's bootstrap environment is reached. `host_key` is the pinned OpenSSH public key
    ("ssh-ed25519 AAAA…"); there is no connection without one.
    """

    name: str
    address: str
    host_key: str
    port: int = 22
    user: str = "root"
    jump: str = ""  # user@host[:port]; its key must be in $CTO_HOME/known_hosts


@dataclass(frozen=True, slots=True)
class Completed:
    status: int  # exit status; -1 if the command was killed by a signal
    stdout: bytes
    stderr: bytes
    truncated: bool = False  # more than `max_bytes` came and the rest was thrown away


class Ssh(Protocol):
    """Connections are pinned, pooled by target and kept open until `close`."""

    async def run(
        self,
        target: Target,
        command: str,
        *,
        stdin: bytes = b"",
        deadline: float = 60,
        max_bytes: int = 256 * 1024,
    ) -> Completed:
        """Raises Unreachable (also when the deadline, in seconds, passes) or HostKeyMismatch.
        A non-zero status is returned, not raised.
        """
        ...

    async def stream(
        self,
        target: Target,
        command: str,
        chunks: AsyncIterable[bytes],
        *,
        sent: Callable[[int], None],
        deadline: float,
    ) -> Completed:
        """As `run`, with standard input from `chunks` under back-pressure; `sent(n)` after every n bytes
        accepted by the transport.
        """
        ...

    def forward(self, target: Target, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
        """A local (host, port) that leads to the target's `port`, through its jump host if it has one
        (without a jump host: the target's own address).
        """
        ...

    async def probe_host_key(self, address: str, port: int = 22, jump: str = "") -> str:
        """The public key line that answers there. NOT trusted: to be compared with something that is."""
        ...

    async def close(self) -> None: ...
