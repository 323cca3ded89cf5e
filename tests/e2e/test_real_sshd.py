"""The same adapters against Debian's openssh-server: direct, through a jump host, with a wrong key.

Two daemons on loopback addresses, started by the test as the user who runs it; nothing of the system's own
sshd is touched.
"""

import asyncio
import getpass
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.adapters.images import ImageCache
from controller.adapters.runner import ProcessRunner
from controller.adapters.ssh import AsyncSsh
from controller.adapters.ssh_keys import ensure_key
from controller.app import imaging
from controller.app.gather import gather
from controller.app.ports import Job, Target
from facts.registry import machine_facts
from inventory.errors import HostKeyMismatch, NodeError, Unreachable

pytestmark = pytest.mark.needs("sshd", "ssh-keygen")

CONFIG = """
ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {authorized}
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH={path}
"""


class Wall:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Sshd:
    """One real daemon."""

    def __init__(self, folder: Path, address: str, port: int, authorized: Path, path: str) -> None:
        folder.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
        self.address, self.port = address, port
        self.public = " ".join((folder / "host_key.pub").read_text().split()[:2])
        text = CONFIG.format(address=address, port=port, folder=folder, authorized=authorized, path=path)
        (folder / "sshd_config").write_text(text)
        if not Path("/run/sshd").exists():
            Path("/run/sshd").mkdir(mode=0o755)  # where Debian's sshd wants to be locked in
        self.log = (folder / "log").open("w")
        program = shutil.which("sshd")
        assert program
        self.process = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=self.log)

    def target(self, name: str, **changes: object) -> Target:
        known = {
            "address": self.address,
            "host_key": self.public,
            "port": self.port,
            "user": getpass.getuser(),
        }
        return Target(name=name, **{**known, **changes})  # type: ignore[arg-type]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()


async def listening(address: str, port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def free_port(address: str) -> int:
    import socket

    with socket.create_server((address, 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "authorized_keys").write_text(ensure_key(tmp_path / "home" / "id") + "\n")
    return tmp_path / "home"


@pytest.fixture
def sshds(tmp_path: Path, home: Path) -> Iterator[list[Sshd]]:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "blockdev").write_text("#!/bin/sh\nexit 0\n")  # the test's disk is a file
    (bin_ / "blockdev").chmod(0o755)
    path = f"{bin_}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    made = [
        Sshd(tmp_path / f"sshd-{address}", address, free_port(address), tmp_path / "authorized_keys", path)
        for address in ("127.0.0.1", "127.0.0.2")
    ]
    jump = made[0]
    (home / "known_hosts").write_text(f"[{jump.address}]:{jump.port} {jump.public}\n")
    yield made
    for each in made:
        each.stop()


@pytest.fixture
async def ssh(home: Path, sshds: list[Sshd]) -> AsyncIterator[AsyncSsh]:
    for each in sshds:
        await listening(each.address, each.port)
    adapter = AsyncSsh(home / "id", home / "known_hosts")
    yield adapter
    await adapter.close()


def behind(sshds: list[Sshd], **changes: object) -> Target:
    jump, target = sshds
    return target.target("behind", jump=f"{getpass.getuser()}@{jump.address}:{jump.port}", **changes)


async def test_facts_come_directly_and_through_a_jump_host(ssh: AsyncSsh, sshds: list[Sshd]) -> None:
    targets = [sshds[0].target("direct"), behind(sshds)]
    found = {g.target.name: g async for g in gather(ssh, targets, machine_facts(), clock=Wall())}
    for name in ("direct", "behind"):
        facts = found[name].facts
        assert facts is not None, found[name].error
        assert {"os", "memory", "cpu"} <= set(facts.values), facts.problems
    assert found["direct"].facts.values["os"] == found["behind"].facts.values["os"]


async def test_a_wrong_key_is_refused_directly_and_behind_a_jump_host(
    ssh: AsyncSsh, sshds: list[Sshd]
) -> None:
    swapped = sshds[1].public
    for target in (sshds[0].target("n", host_key=swapped), behind(sshds, host_key=sshds[0].public)):
        with pytest.raises(HostKeyMismatch):
            await ssh.run(target, "true")


async def test_a_stranger_is_told_that_its_key_is_not_accepted(
    tmp_path: Path, ssh, sshds: list[Sshd]
) -> None:
    ensure_key(tmp_path / "other" / "id")
    stranger = AsyncSsh(tmp_path / "other" / "id", tmp_path / "other" / "known_hosts")
    with pytest.raises(NodeError, match="does not accept") as caught:
        await stranger.run(sshds[0].target("n"), "true")
    assert not isinstance(caught.value, Unreachable)
    await stranger.close()


async def test_the_probe_shows_the_key_that_the_machine_has(ssh: AsyncSsh, sshds: list[Sshd]) -> None:
    jump = behind(sshds).jump
    assert await ssh.probe_host_key(sshds[0].address, sshds[0].port) == sshds[0].public
    assert await ssh.probe_host_key(sshds[1].address, sshds[1].port, jump) == sshds[1].public


async def test_a_daemon_that_is_gone_is_unreachable(ssh: AsyncSsh, sshds: list[Sshd]) -> None:
    sshds[1].stop()
    with pytest.raises(Unreachable, match=r"refused|reset"):  # reset: a child of it still had the port
        await ssh.run(sshds[1].target("n"), "true")
    with pytest.raises(Unreachable):
        await ssh.run(behind(sshds), "true")


async def test_a_pyinfra_job_through_a_jump_host(home: Path, ssh: AsyncSsh, sshds: list[Sshd]) -> None:
    runner = ProcessRunner(home / "id", ssh, log=home / "runner.log")
    async with aclosing(runner.run(Job("j", "check", behind(sshds)))) as stream:
        events = [event async for event in stream]
    await runner.close()
    assert events[-1].kind == "result", events[-1]


@pytest.mark.needs("zstd", "dd", "sha256sum", "tail")
async def test_an_image_is_streamed_and_proved(tmp_path: Path, ssh: AsyncSsh, sshds: list[Sshd]) -> None:
    raw = b"".join(bytes([n % 251]) * 4096 for n in range(4000))
    (tmp_path / "image.raw").write_bytes(raw)
    (tmp_path / "disk").write_bytes(bytes(20 * 1024 * 1024))
    images = ImageCache(tmp_path / "images")
    image = await images.ensure(str(tmp_path / "image.raw"))
    target = behind(sshds)
    await imaging.write_image(ssh, target, str(tmp_path / "disk"), image, images, sent=lambda _n: None)
    await imaging.write_bytes(ssh, target, str(tmp_path / "disk"), 0, image.first_mib)
    assert (tmp_path / "disk").read_bytes()[: len(raw)] == raw
