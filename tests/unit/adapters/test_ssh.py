"""The SSH adapter against real servers: pins, pool, caps, deadlines, jump hosts."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from controller.adapters.ssh import AsyncSsh
from controller.adapters.ssh_keys import ensure_key
from controller.app.ports import Completed, Target
from inventory.errors import HostKeyMismatch, NodeError, OperatorError, Unreachable
from tests.peers_ssh import SshPeer, shell

Process = asyncssh.SSHServerProcess  # type: ignore[type-arg]


async def never(process: Process) -> None:
    await asyncio.Event().wait()


async def test_a_command_gives_status_and_both_streams(ssh, peer) -> None:
    server = await peer(shell())
    done = await ssh.run(server.target(), "cat; echo oops >&2; exit 3", stdin=b"\x00\xffbinary\n")
    assert done == Completed(3, b"\x00\xffbinary\n", b"oops\n")


async def test_a_command_killed_by_a_signal_has_status_minus_one(ssh, peer) -> None:
    async def killed(process: Process) -> None:
        process.exit_with_signal("KILL")

    assert (await ssh.run((await peer(killed)).target(), "x")).status == -1


@pytest.mark.parametrize(
    ("ciphers", "taken"),
    [
        ((), "aes256-gcm@openssh.com"),
        (("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"), "aes128-gcm@openssh.com"),
        (("chacha20-poly1305@openssh.com",), "chacha20-poly1305@openssh.com"),
        (("aes128-ctr",), "aes128-ctr"),
    ],
)
async def test_a_cipher_that_costs_little_is_taken_where_the_machine_has_it(
    ssh, peer, ciphers, taken
) -> None:
    server = await peer(shell(), ciphers=ciphers)
    assert (await ssh.run(server.target(), "echo yes")).stdout == b"yes\n"
    (connection,) = server.connections
    assert connection.get_extra_info("recv_cipher") == connection.get_extra_info("send_cipher") == taken


async def test_many_commands_share_one_connection(ssh, peer) -> None:
    server = await peer(shell())
    answers = await asyncio.gather(*(ssh.run(server.target(), f"echo {n}") for n in range(8)))
    assert [int(a.stdout) for a in answers] == list(range(8))
    assert len(server.connections) == 1


async def test_another_host_key_is_refused_before_any_login_and_both_fingerprints_are_shown(
    ssh, peer
) -> None:
    server = await peer(shell())
    other = asyncssh.generate_private_key("ssh-ed25519")
    pinned = " ".join(other.export_public_key().decode().split()[:2])
    with pytest.raises(HostKeyMismatch) as caught:
        await ssh.run(server.target(host_key=pinned), "true")
    assert other.get_fingerprint() in str(caught.value)
    assert server.host_key.get_fingerprint() in str(caught.value)
    assert "--confirm-words" in caught.value.fix
    assert not server.logins


async def test_a_key_of_another_kind_is_a_mismatch_too(ssh, peer) -> None:
    server = await peer(shell(), key_kind="ecdsa-sha2-nistp256")
    pinned = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    with pytest.raises(HostKeyMismatch):
        await ssh.run(server.target(host_key=pinned), "true")
    assert not server.logins


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-rsa"])
async def test_every_pinnable_kind_works(ssh, peer, kind: str) -> None:
    server = await peer(shell(), key_kind=kind)
    assert (await ssh.run(server.target(), "echo yes")).stdout == b"yes\n"


@pytest.mark.parametrize("line", ["", "ssh-dss AAAAB3NzaC1kc3M=", "ssh-ed25519 AAAA", "ssh-ed25519", "*"])
async def test_without_a_good_pin_nothing_is_dialed(ssh, line: str) -> None:
    with pytest.raises(OperatorError):
        await ssh.run(Target("n", "127.0.0.1", line, port=9), "true")


async def test_refused(ssh, peer) -> None:
    server = await peer(shell())
    target = server.target()
    await server.close()
    with pytest.raises(Unreachable, match="refused"):
        await ssh.run(target, "true")


async def test_a_port_that_stays_silent(key: Path, peer) -> None:
    public = (await peer(shell())).public

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ssh = AsyncSsh(key, key.parent / "known_hosts", connect_timeout=0.3)
    with pytest.raises(Unreachable):
        await ssh.run(Target("n", "127.0.0.1", public, port), "true")
    await ssh.close()
    server.close()


async def test_a_machine_that_does_not_know_our_key(peer, tmp_path: Path) -> None:
    server = await peer(shell())
    ensure_key(tmp_path / "stranger")
    ssh = AsyncSsh(tmp_path / "stranger", tmp_path / "known_hosts")
    with pytest.raises(NodeError, match="does not accept") as caught:
        await ssh.run(server.target(), "true")
    assert not isinstance(caught.value, Unreachable)
    await ssh.close()


async def test_a_passed_deadline_ends_the_channel_and_says_that_the_outcome_is_unknown(ssh, peer) -> None:
    ended = asyncio.Event()

    async def hang(process: Process) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            await process.stdin.read()  # ends when the channel does
        ended.set()

    server = await peer(hang)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    with pytest.raises(Unreachable, match="not known"):
        await ssh.stream(server.target(), "hang", slowly(), sent=lambda _n: None, deadline=0.3)
    await asyncio.wait_for(ended.wait(), 10)


async def test_too_much_output_is_cut_and_the_command_ended(ssh, peer) -> None:
    server = await peer(shell())
    done = await ssh.run(server.target(), "yes", max_bytes=10_000)
    assert done.truncated
    assert len(done.stdout) == 10_000
    assert done.status == -1
    assert (await ssh.run(server.target(), "echo alive")).stdout == b"alive\n"


async def test_exactly_the_limit_is_not_cut(ssh, peer) -> None:
    done = await ssh.run((await peer(shell())).target(), "printf 12345", max_bytes=5)
    assert done == Completed(0, b"12345", b"")


async def test_a_connection_lost_in_a_command_is_unreachable_and_never_repeated(ssh, peer) -> None:
    async def die(process: Process) -> None:
        process.channel.get_connection().abort()

    server = await peer(die)
    with pytest.raises(Unreachable, match="dropped"):
        await ssh.run(server.target(), "wipe everything")
    assert server.commands == ["wipe everything"]


async def test_a_connection_that_died_in_the_pool_is_replaced(ssh, peer) -> None:
    server = await peer(shell())
    await ssh.run(server.target(), "true")
    closing = server.connections[0]
    closing.abort()
    await closing.wait_closed()
    assert (await ssh.run(server.target(), "echo again")).stdout == b"again\n"
    assert len(server.connections) == 2


async def test_a_stream_arrives_whole_and_reports_progress(ssh, peer) -> None:
    server = await peer(shell())
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(300_000)

    done = await ssh.stream(server.target(), "wc -c", chunks(), sent=sent.append, deadline=60)
    assert int(done.stdout) == sum(sent) == 12_000_000


async def test_a_reader_that_does_not_read_holds_the_sender_back(ssh, peer) -> None:
    server = await peer(never)
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(256 * 1024)

    with pytest.raises(Unreachable):
        await ssh.stream(server.target(), "sleep", chunks(), sent=lambda _n: None, deadline=1)
    assert taken < 40  # 10 MiB at most stand between us and a window of 2 MiB


async def test_a_command_that_ends_early_is_no_error_of_the_stream(ssh, peer) -> None:
    server = await peer(shell())

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    done = await ssh.stream(server.target(), "head -c 3; exit 7", chunks(), sent=lambda _n: None, deadline=30)
    assert done.status == 7


async def test_a_source_that_fails_cuts_the_channel_without_an_end_of_file(ssh, peer) -> None:
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen(process: Process) -> None:
        try:
            await process.stdin.read()
        except asyncssh.Error:
            seen.set_result("cut")
        else:
            seen.set_result("eof" if process.stdin.at_eof() and not process.is_closing() else "cut")

    server = await peer(listen)

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("the image changed")

    with pytest.raises(ValueError, match="image changed"):
        await ssh.stream(server.target(), "x", broken(), sent=lambda _n: None, deadline=30)
    assert await asyncio.wait_for(seen, 10) == "cut"


async def test_cancelling_the_caller_frees_the_channel_but_keeps_the_connection(ssh, peer) -> None:
    started = asyncio.Event()

    async def some(process: Process) -> None:
        if process.command == "quick":
            process.stdout.write(b"ok")
            process.exit(0)
            return
        started.set()
        await asyncio.Event().wait()

    server = await peer(some)
    task = asyncio.create_task(ssh.run(server.target(), "slow"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ssh.run(server.target(), "quick")).stdout == b"ok"
    assert len(server.connections) == 1


async def test_forward_without_a_jump_host_is_the_address_itself(ssh, peer) -> None:
    target = (await peer(shell())).target()
    async with ssh.forward(target, 50000) as place:
        assert place == ("127.0.0.1", 50000)


async def through(jump: SshPeer, ssh_home: Path) -> str:
    (ssh_home / "known_hosts").write_text(f"[127.0.0.1]:{jump.port} {jump.public}\n")
    return f"root@127.0.0.1:{jump.port}"


async def test_a_machine_behind_a_jump_host(ssh, peer, key: Path) -> None:
    jump, behind = await peer(never), await peer(shell(), address="127.0.0.2")
    target = behind.target(address="127.0.0.2", jump=await through(jump, key.parent))
    assert (await ssh.run(target, "echo here")).stdout == b"here\n"
    assert jump.forwarded == [("127.0.0.2", behind.port)]
    async with ssh.forward(target, behind.port) as (host, port):
        assert (host, port) != ("127.0.0.2", behind.port)
        reader, writer = await asyncio.open_connection(host, port)
        assert (await reader.readline()).startswith(b"SSH-2.0")
        writer.close()
    assert len(jump.connections) == 1


async def test_the_pin_counts_behind_a_jump_host_too(ssh, peer, key: Path) -> None:
    jump, behind = await peer(never), await peer(shell())
    target = behind.target(jump=await through(jump, key.parent), host_key=jump.public)
    with pytest.raises(HostKeyMismatch):
        await ssh.run(target, "true")


async def test_a_jump_host_without_a_known_key_is_not_contacted(ssh, peer) -> None:
    jump, behind = await peer(never), await peer(shell())
    with pytest.raises(OperatorError, match="known_hosts has no line") as caught:
        await ssh.run(behind.target(jump=f"root@127.0.0.1:{jump.port}"), "true")
    assert f"[127.0.0.1]:{jump.port} ssh-ed25519" in caught.value.fix
    assert not jump.connections


async def test_a_jump_host_with_another_key(ssh, peer, key: Path) -> None:
    jump, behind = await peer(never), await peer(shell())
    address = await through(jump, key.parent)
    (key.parent / "known_hosts").write_text(f"[127.0.0.1]:{jump.port} {behind.public}\n")
    with pytest.raises(HostKeyMismatch, match="jump host"):
        await ssh.run(behind.target(jump=address), "true")


async def test_the_key_shown_to_a_probe_is_the_servers(ssh, peer) -> None:
    server = await peer(shell())
    assert await ssh.probe_host_key("127.0.0.1", server.port) == server.public
    assert not server.commands


async def test_the_users_own_ssh_configuration_has_no_say(ssh, peer, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  Port 9\n  User nobody\n  ProxyCommand false\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    server = await peer(shell())
    assert (await ssh.run(server.target(), "echo ours")).stdout == b"ours\n"
    assert server.logins == ["root"]


def test_the_controllers_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "id"
    line = ensure_key(path)
    assert line.startswith("ssh-ed25519 ")
    assert ensure_key(path) == line
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["id"]
    path.chmod(0o644)
    with pytest.raises(OperatorError, match="read by others"):
        ensure_key(path)


async def test_two_programs_that_start_together_end_up_with_one_key(tmp_path: Path) -> None:
    lines = await asyncio.gather(*(asyncio.to_thread(ensure_key, tmp_path / "id") for _ in range(8)))
    assert len(set(lines)) == 1


def test_no_source_file_switches_host_key_checking_off() -> None:
    root = Path(__file__).parents[3]
    rooms = ("controller", "deploys", "facts", "inventory", "iso", "roles", "web")
    forbidden = ("known_hosts=None", '"accept-new"', "AutoAddPolicy", "StrictHostKeyChecking=no")
    guilty = [
        (str(path.relative_to(root)), word)
        for room in rooms
        for path in (root / room).rglob("*.py")
        for word in forbidden
        if word in path.read_text()
    ]
    assert not guilty
