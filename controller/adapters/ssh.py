"""The `Ssh` port on asyncssh: pinned, pooled, capped. Reads no SSH configuration and uses no agent.

There is no connection without a pinned host key: a target carries its own, a jump host's must stand in the
controller's `known_hosts` file. Nothing here ever adds or replaces a key.
"""

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controller.adapters.ssh_errors import Seen, explain, translated
from controller.adapters.ssh_keys import PINNABLE, pinned, public_line, read_key
from controller.adapters.ssh_library import asyncssh
from controller.adapters.ssh_pool import Pool
from controller.adapters.ssh_session import Command
from controller.app.ssh_port import Completed, Target
from inventory.errors import InvariantError, NodeError, OperatorError, Unreachable
from inventory.reach import parse_jump


class AsyncSsh:
    """One connection per target, opened at the first use and kept until `close` or until it breaks."""

    def __init__(
        self,
        key_path: Path,
        known_jump_hosts: Path,
        *,
        cold_limit: int = 64,
        connect_timeout: float = 15,
        keepalive: float = 10,
    ) -> None:
        """`cold_limit`: connections being opened at the same time; `keepalive`: seconds between probes."""
        self._key_path = key_path
        self._known_jump_hosts = known_jump_hosts
        self._timeout = connect_timeout
        self._keepalive = keepalive
        self._cold = asyncio.Semaphore(cold_limit)
        self._key: asyncssh.SSHKeyPair | None = None
        self._targets: Pool[Target] = Pool(self._connect)
        self._jumps: Pool[str] = Pool(self._connect_jump)

    async def run(
        self,
        target: Target,
        command: str,
        *,
        stdin: bytes = b"",
        deadline: float = 60,
        max_bytes: int = 256 * 1024,
    ) -> Completed:
        """Run one command. A non-zero status is returned, not raised."""
        chunks = _whole(stdin) if stdin else None
        return await self._execute(target, command, chunks, _ignore, deadline=deadline, max_bytes=max_bytes)

    async def stream(
        self,
        target: Target,
        command: str,
        chunks: AsyncIterable[bytes],
        *,
        sent: Callable[[int], None],
        deadline: float,
    ) -> Completed:
        """As `run`, with standard input from `chunks` under back-pressure.

        If `chunks` raises, the channel is cut without an end of file and the exception is passed on.
        """
        return await self._execute(target, command, chunks, sent, deadline=deadline, max_bytes=256 * 1024)

    @asynccontextmanager
    async def forward(self, target: Target, port: int) -> AsyncIterator[tuple[str, int]]:
        """A (host, port) that leads to `port` of the target, through its jump host if it has one."""
        if not target.jump:
            yield target.address, port
            return
        where = f"{target.name} through {target.jump}"
        with translated(where):
            jump = await self._jumps.get(target.jump)
            listener = await jump.forward_local_port("127.0.0.1", 0, target.address, port)
        try:
            yield "127.0.0.1", listener.get_port()
        finally:
            listener.close()

    async def probe_host_key(self, address: str, port: int = 22, jump: str = "") -> str:
        """The public key line that the machine shows, Ed25519 first. NOT trusted: for people to compare."""
        where = f"{address} port {port}"
        try:
            async with asyncio.timeout(self._timeout):
                with translated(where):
                    tunnel = await self._jumps.get(jump) if jump else ()
                    key = await asyncssh.get_server_host_key(
                        address, port, tunnel=tunnel, config=None, server_host_key_algs=_PROBE_ALGORITHMS
                    )
        except TimeoutError as error:
            raise explain(error, where) from error
        if key is None or key.get_algorithm() not in PINNABLE:
            raise NodeError(
                "shows no host key that can be pinned", where=where, fix="give its sshd an ed25519 key"
            )
        return public_line(key)

    async def close(self) -> None:
        await self._targets.close()
        await self._jumps.close()

    async def _execute(
        self,
        target: Target,
        command: str,
        chunks: AsyncIterable[bytes] | None,
        sent: Callable[[int], None],
        *,
        deadline: float,
        max_bytes: int,
    ) -> Completed:
        session: Command | None = None
        try:
            async with asyncio.timeout(deadline) as timer:
                session = await self._open(target, command, max_bytes)
                if chunks is None:
                    session.end_of_input()
                else:
                    await session.feed(chunks, sent)
                with translated(target.name):
                    return await session.finished()
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise Unreachable(
                f"no result within {deadline:g} s; whether the command still runs there is not known",
                where=target.name,
                fix="run the command again: the machine is looked at before anything is repeated",
            ) from error
        finally:
            if session is not None:
                session.abort()

    async def _open(self, target: Target, command: str, max_bytes: int) -> Command:
        """A running command. A pooled connection that turns out to be dead is replaced, once."""
        for attempt in itertools.count():
            connection = await self._targets.get(target)
            try:
                return await _start(connection, command, max_bytes)
            except asyncssh.ChannelOpenError as error:
                # The channel never opened, so the command did not start: the one failure safe to repeat.
                self._targets.discard(target, connection)
                if attempt or not connection.is_closed():
                    raise explain(error, target.name) from error
            except (OSError, asyncssh.Error) as error:
                raise explain(error, target.name) from error
        raise InvariantError("unreachable code")  # itertools.count() does not end

    async def _connect(self, target: Target) -> asyncssh.SSHClientConnection:
        key = pinned(target.host_key, where=target.name)
        seen = Seen()
        tunnel = await self._jumps.get(target.jump) if target.jump else ()
        async with self._cold:
            with translated(target.name, wanted=key.get_fingerprint(), seen=seen):
                connection = await asyncssh.connect(
                    target.address,
                    target.port,
                    username=target.user,
                    known_hosts=([key], [], []),
                    client_factory=lambda: _Client(seen),
                    tunnel=tunnel,
                    **self._common(),
                )
        return self._watched(connection)

    async def _connect_jump(self, jump: str) -> asyncssh.SSHClientConnection:
        user, host, port = parse_jump(jump)
        where = f"jump host {jump}"
        known = self._jump_keys(host, port, where)
        seen = Seen()
        async with self._cold:
            with translated(where, wanted=", ".join(k.get_fingerprint() for k in known), seen=seen):
                connection = await asyncssh.connect(
                    host,
                    port,
                    username=user,
                    known_hosts=(known, [], []),
                    client_factory=lambda: _Client(seen),
                    **self._common(),
                )
        return self._watched(connection)

    def _watched(self, connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientConnection:
        """Probes it once it is `keepalive` seconds old.

        asyncssh makes a new timer for every packet while it probes; most connections to ask for facts are
        gone before the first probe would be due.
        """

        def probe() -> None:
            if not connection.is_closed():
                connection.set_keepalive(self._keepalive, 3)

        asyncio.get_running_loop().call_later(self._keepalive, probe)
        return connection

    def _jump_keys(self, host: str, port: int, where: str) -> list[asyncssh.SSHKey]:
        path = self._known_jump_hosts
        try:
            text = path.read_text() if path.exists() else ""
            matched = asyncssh.import_known_hosts(text).match(host, "", port)[0]
        except (OSError, ValueError) as error:
            raise OperatorError(
                f"can't be read: {error}", where=str(path), fix="correct or remove the line"
            ) from error
        if not matched:
            name = host if port == 22 else f"[{host}]:{port}"
            raise OperatorError(
                f"the host key of the jump host is not known: {path} has no line for {name}",
                where=where,
                fix=f"compare its key with its console, then add the line: {name} ssh-ed25519 AAAA…",
            )
        return list(matched)

    def _common(self) -> dict[str, Any]:
        if self._key is None:
            self._key = asyncssh.load_keypairs(read_key(self._key_path))[0]
        return {
            "client_keys": [self._key],
            "config": None,
            "agent_path": None,
            "preferred_auth": "publickey",
            "password_auth": False,
            "kbdint_auth": False,
            "encryption_algs": _CIPHERS,
            "connect_timeout": self._timeout,
            "login_timeout": self._timeout,
        }


class _Client(asyncssh.SSHClient):
    """Trusts nothing by itself; remembers the key that was not the pinned one, for the error's text."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002 - asyncssh's signature
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        self._seen.fingerprint = key.get_fingerprint()
        return False


async def _start(connection: asyncssh.SSHClientConnection, command: str, max_bytes: int) -> Command:
    session = Command(max_bytes)
    await connection.create_session(lambda: session, command, encoding=None, window=_WINDOW)
    return session


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _ignore(_count: int) -> None:
    """Nobody wants to know the progress."""


# Before the list of asyncssh, which begins with ChaCha20-Poly1305: that takes four passes over a packet, each
# with a new object, AES-GCM one by the processor's own instructions. OpenSSH has had it since 6.2.
_CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"
_WINDOW = 1024 * 1024  # bytes of output the other side may send before we take them
_PROBE_ALGORITHMS = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "rsa-sha2-512",
    "rsa-sha2-256",
]
