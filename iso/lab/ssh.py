"""The SSH server of one machine's bootstrap environment: keys only, one new host key at every boot.

Runs commands in the lab's own shell. No port forwarding, no agent, no terminal, no SFTP.
"""

import asyncio
import contextlib
from typing import Any, Self

import asyncssh

from iso.lab.disk import PowerCut
from iso.lab.host import Host
from iso.lab.shell.interpreter import Shell

_VERSION = "OpenSSH_9.2p1"
_LOGGED = 500  # characters of a command that are remembered


class SshServer:
    """Listens on the machine's address until it is closed."""

    def __init__(self, host: Host, key: asyncssh.SSHKey) -> None:
        self._host = host
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._key = key
        self.host_key = key.export_public_key().decode().strip()
        self.fingerprint = key.get_fingerprint()

    @classmethod
    async def start(cls, host: Host) -> Self:
        server = cls(host, asyncssh.generate_private_key("ssh-ed25519"))
        if not host.faults.has("refuse"):
            await server.listen()
        return server

    async def listen(self) -> None:
        if self._acceptor is not None:
            return
        machine = self._host.machine
        self._acceptor = await asyncssh.listen(
            machine.address,
            machine.ssh_port,
            server_factory=lambda: _Login(self._connections),
            process_factory=self._process,
            server_host_keys=[self._key],
            authorized_client_keys=machine.authorized_keys,
            encoding=None,
            line_editor=False,
            allow_scp=False,
            compression_algs=None,
            server_version=_VERSION,
            login_timeout=30,
            backlog=256,
            reuse_address=True,
        )

    async def refuse(self) -> None:
        """Close the port; sessions that are open stay."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None

    async def stop(self, *, abruptly: bool = False) -> None:
        await self.refuse()
        for connection in list(self._connections):
            connection.abort() if abruptly else connection.close()

    async def _process(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        task = asyncio.current_task()
        if task is not None:
            self._host.keep(task)
        try:
            status = await self._session(process)
        except (PowerCut, _Dropped):
            process.get_extra_info("connection").abort()
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            process.exit_with_signal("TERM")
        else:
            with contextlib.suppress(OSError):  # the other side is gone, and so is its interest in the status
                process.exit(status)

    async def _session(self, process: "asyncssh.SSHServerProcess[bytes]") -> int:
        host = self._host
        command = process.command
        host.log("exec", command=(command or "")[:_LOGGED])
        slow = host.faults.take("slow", "ssh")
        rate = float(slow.get("bytes_per_second", 0)) if slow is not None else 0.0
        if slow is not None:
            await asyncio.sleep(float(slow.get("seconds", 0 if rate else 1)))
        drop = host.faults.take("drop", "ssh")
        if drop is not None and "bytes" not in drop:
            raise _Dropped
        streams = _Streams(process, int(drop["bytes"]) if drop else None, rate)
        error = _Output(process.stderr)
        shell = Shell(host, {0: streams, 1: _Output(process.stdout), 2: error}, env=host.environment())
        if command is None:  # no command: a script on standard input
            return await shell.run_argv(["sh"])
        return await shell.run(command)


class _Dropped(Exception):
    pass


class _Login(asyncssh.SSHServer):
    def __init__(self, connections: "set[asyncssh.SSHServerConnection]") -> None:
        self._all = connections
        self._own: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._own = conn
        self._all.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the library's signature
        if self._own is not None:
            self._all.discard(self._own)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - the library's signature
        return True


class _Streams:
    """A session's standard input, cut or slowed down where a fault says so."""

    def __init__(
        self, process: "asyncssh.SSHServerProcess[bytes]", cut_after: int | None, rate: float
    ) -> None:
        self._stdin, self._left, self._rate = process.stdin, cut_after, rate

    async def read(self, limit: int) -> bytes:
        try:
            data = await self._stdin.read(limit)
        except asyncssh.Error:
            return b""  # the connection is gone: the command sees the end of its input, as under sshd
        if self._rate:
            await asyncio.sleep(len(data) / self._rate)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                raise _Dropped
        return data


class _Output:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def write(self, data: bytes) -> None:
        self._stream.write(data)
        try:
            await self._stream.drain()
        except (asyncssh.Error, ConnectionError) as error:
            raise BrokenPipeError(32, "Broken pipe") from error
