"""SSH peers for tests: real asyncssh servers on loopback. `ShellPeer` runs what it is told with the real /bin/sh."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from controller.app.ports import Target

Handler = Callable[["asyncssh.SSHServerProcess[bytes]"], Awaitable[None]]


class _Server(asyncssh.SSHServer):
    def __init__(self, peer: "SshPeer") -> None:
        self._peer = peer

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._peer.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._peer.logins.append(username)
        return True

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._peer.forwarded.append((dest_host, dest_port))
        return True  # it may serve as a jump host


class SshPeer:
    """One server: `handler` answers every command. Remembers connections, logins and commands."""

    def __init__(
        self, handler: Handler, *, key_kind: str = "ssh-ed25519", ciphers: Sequence[str] = ()
    ) -> None:
        """`ciphers`: the only ones it has; empty: those that asyncssh has."""
        self.host_key = asyncssh.generate_private_key(key_kind)
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.logins: list[str] = []
        self.commands: list[str] = []
        self.forwarded: list[tuple[str, int]] = []
        self.handler = handler
        self._ciphers = ciphers
        self._server: asyncssh.SSHAcceptor | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, authorized: Path, address: str = "127.0.0.1") -> "SshPeer":
        async def serve(process: "asyncssh.SSHServerProcess[bytes]") -> None:
            self.commands.append(process.command or "")
            task = asyncio.create_task(self.handler(process))  # type: ignore[arg-type]
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await task

        self._server = await asyncssh.listen(
            address,
            self.port,
            server_factory=lambda: _Server(self),
            server_host_keys=[self.host_key],
            authorized_client_keys=str(authorized),
            process_factory=serve,
            encoding=None,
            password_auth=False,
            encryption_algs=self._ciphers,
        )
        self.port = self._server.get_port()
        return self

    @property
    def public(self) -> str:
        return " ".join(self.host_key.export_public_key().decode().split()[:2])

    def target(self, name: str = "node-1", **changes: object) -> Target:
        known = {"address": "127.0.0.1", "host_key": self.public, "port": self.port, "user": "root"}
        return Target(name=name, **{**known, **changes})  # type: ignore[arg-type]

    async def close(self) -> None:
        for connection in self.connections:
            connection.abort()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


def shell(environment: Mapping[str, str] | None = None) -> Handler:
    """A handler that runs the command with /bin/sh."""

    async def run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            process.command or "",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        feeding = asyncio.create_task(_feed(process.stdin, child.stdin))
        try:
            await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
            status = await child.wait()
        except (OSError, asyncssh.Error):
            status = -1  # the client went away: what the command writes now has no reader
        finally:
            feeding.cancel()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with whatever it started
            child._transport.close()  # at once: a second cancellation may come before the wait ends
            await child.wait()
        with contextlib.suppress(OSError, asyncssh.Error):
            process.exit(status) if status >= 0 else process.exit_with_signal("KILL")

    return run


async def _feed(source: Any, sink: Any) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except (OSError, asyncssh.Error):
        pass  # the command took no more, or the client went away: either ends its input
    sink.close()


async def _copy(source: Any, sink: Any) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
