"""A controller's key, an adapter that uses it, and peers to talk to."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from controller.adapters.ssh import AsyncSsh
from controller.adapters.ssh_keys import ensure_key
from tests.peers_ssh import Handler, SshPeer


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "id_ed25519"
    (tmp_path / "authorized_keys").write_text(ensure_key(path) + "\n")
    return path


@pytest.fixture
async def ssh(key: Path) -> AsyncIterator[AsyncSsh]:
    adapter = AsyncSsh(key, key.parent / "known_hosts", connect_timeout=10)
    yield adapter
    await adapter.close()


@pytest.fixture
async def peer(key: Path, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[SshPeer]]]:
    started: list[SshPeer] = []

    async def start(
        handler: Handler,
        *,
        address: str = "127.0.0.1",
        key_kind: str = "ssh-ed25519",
        ciphers: Sequence[str] = (),
    ) -> SshPeer:
        server = SshPeer(handler, key_kind=key_kind, ciphers=ciphers)
        started.append(server)
        return await server.start(tmp_path / "authorized_keys", address)

    yield start
    for server in started:
        await server.close()
