"""The pyinfra runner: real subprocess, real pyinfra, an SSH server that runs the real shell."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from controller.adapters.runner import ProcessRunner
from controller.app.jobs import as_error
from controller.app.ports import Job, RunnerEvent, Target
from inventory.errors import HostKeyMismatch, InvariantError, NodeError, RefusedError, Unreachable
from tests.peers_ssh import shell


@pytest.fixture
async def runner(key: Path, ssh, tmp_path: Path) -> AsyncIterator[ProcessRunner]:
    running = ProcessRunner(key, ssh, log=tmp_path / "runner.log", limit=3)
    yield running
    await running.close()


def job(target: Target, id_: str = "j", **changes: Any) -> Job:
    return Job(**{"id": id_, "deploy": "check", "target": target, "deadline": 60.0, **changes})


async def events(runner: ProcessRunner, order: Job) -> list[RunnerEvent]:
    async with aclosing(runner.run(order)) as stream:
        return [event async for event in stream]


def failure(found: list[RunnerEvent]) -> Mapping[str, Any]:
    assert found[-1].kind == "error", found
    return found[-1].data


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while alive(pid):
            await asyncio.sleep(0.01)


class Hanging:
    """A machine that never answers; tells when somebody waits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def __call__(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        self.reached.set()
        await asyncio.Event().wait()


async def test_a_job_starts_and_ends_with_one_result(runner, peer) -> None:
    server = await peer(shell())
    found = await events(runner, job(server.target()))
    assert [event.kind for event in found] == ["started", "result"]
    assert {event.job for event in found} == {"j"}
    assert found[-1].data["ok"] is True
    assert found[-1].data["data"]["firmware"] in ("uefi", "bios")
    assert server.commands, "pyinfra ran nothing on the machine"


async def test_jobs_run_beside_each_other_in_processes_of_their_own(runner, peer) -> None:
    server = await peer(shell())
    found = await asyncio.gather(*(events(runner, job(server.target(f"n{n}"), f"j{n}")) for n in range(5)))
    assert all(each[-1].kind == "result" for each in found)
    assert len({each[0].data["pid"] for each in found}) == 5


async def test_another_host_key_is_refused(runner, peer) -> None:
    server = await peer(shell())
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    found = await events(runner, job(server.target(host_key=other)))
    assert failure(found)["slug"] == "key-mismatch"
    assert isinstance(as_error(found[-1], "node-1"), HostKeyMismatch)
    assert not server.commands


async def test_a_refused_connection(runner, peer) -> None:
    server = await peer(shell())
    target = server.target()
    await server.close()
    assert failure(await events(runner, job(target)))["slug"] == "unreachable"


async def test_an_unknown_deploy_and_wrong_data_are_our_bugs(runner, peer) -> None:
    target = (await peer(shell())).target()
    unknown = await events(runner, job(target, deploy="os.system"))
    wrong = await events(runner, job(target, data={"disk": {"path": "/etc/passwd", "size": 1}}))
    assert failure(unknown)["slug"] == failure(wrong)["slug"] == "bug"
    assert isinstance(as_error(wrong[-1], "n"), InvariantError)


async def test_a_passed_deadline_kills_the_job(runner, peer) -> None:
    machine = Hanging()
    found = await events(runner, job((await peer(machine)).target(), deadline=1.0))
    assert failure(found)["slug"] == "unreachable"
    assert "did not end within 1 s" in failure(found)["what"]
    await gone(found[0].data["pid"])


async def test_closing_the_iterator_kills_the_jobs_process(runner, peer) -> None:
    machine = Hanging()
    async with aclosing(runner.run(job((await peer(machine)).target()))) as stream:
        started = await anext(stream)
        await machine.reached.wait()
    await gone(started.data["pid"])
    again = await events(runner, job((await peer(shell())).target()))
    assert again[-1].kind == "result", "the same job id can be asked for again"


async def test_a_cancelled_job_that_waits_for_its_turn_never_starts(runner, peer) -> None:
    machine = Hanging()
    hanging = await peer(machine)
    server = await peer(shell())
    tasks = [asyncio.create_task(events(runner, job(hanging.target(), f"h{n}"))) for n in range(3)]
    await machine.reached.wait()
    waiting = asyncio.create_task(events(runner, job(server.target(), "w")))
    await asyncio.sleep(0)
    waiting.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(waiting, *tasks, return_exceptions=True)
    assert (await events(runner, job(server.target(), "after")))[-1].kind == "result"


async def test_a_child_that_is_killed_gives_an_error_and_harms_no_other_job(runner, peer) -> None:
    machine = Hanging()
    async with aclosing(runner.run(job((await peer(machine)).target()))) as stream:
        started = await anext(stream)
        await machine.reached.wait()
        os.kill(started.data["pid"], signal.SIGKILL)
        last = await anext(stream)
    assert last.kind == "error"
    assert "SIGKILL" in last.data["what"]
    assert (await events(runner, job((await peer(shell())).target())))[-1].kind == "result"


async def test_a_killed_runner_ends_its_jobs_and_is_started_again(runner, peer) -> None:
    machine = Hanging()
    async with aclosing(runner.run(job((await peer(machine)).target()))) as stream:
        started = await anext(stream)
        await machine.reached.wait()
        parent = int(Path(f"/proc/{started.data['pid']}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(parent, signal.SIGKILL)
        last = await anext(stream)
    assert last.data["slug"] == "unreachable"
    await gone(started.data["pid"])
    assert (await events(runner, job((await peer(shell())).target())))[-1].kind == "result"


async def test_closing_the_runner_ends_everything(key: Path, ssh, peer) -> None:
    machine = Hanging()
    runner = ProcessRunner(key, ssh)
    stream = runner.run(job((await peer(machine)).target()))
    started = await anext(stream)
    await machine.reached.wait()
    await runner.close()
    await gone(started.data["pid"])
    assert (await anext(stream)).data["slug"] == "unreachable"
    await stream.aclose()


async def test_a_runner_that_can_not_start_says_so(key: Path, ssh, peer) -> None:
    runner = ProcessRunner(key, ssh, python="/bin/false")
    with pytest.raises(InvariantError, match="does not start"):
        await events(runner, job((await peer(shell())).target()))


def program(path: Path, *lines: str) -> str:
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o700)
    return str(path)


async def test_a_runner_that_is_killed_while_it_starts_is_an_interruption(
    key: Path, ssh, peer, tmp_path: Path
) -> None:
    runner = ProcessRunner(key, ssh, python=program(tmp_path / "killed", "kill -9 $$"))
    with pytest.raises(Unreachable, match="killed by SIGKILL while it started") as caught:
        await events(runner, job((await peer(shell())).target()))
    assert caught.value.retryable


async def test_a_runner_that_dies_in_the_middle_of_a_line_ends_its_jobs(
    key: Path, ssh, peer, tmp_path: Path
) -> None:
    half = program(tmp_path / "half", """echo '{"hello": 1}'; read order; printf '{"job": "j'; kill -9 $$""")
    runner = ProcessRunner(key, ssh, python=half)
    async with asyncio.timeout(30):
        found = await events(runner, job((await peer(shell())).target()))
    assert failure(found)["slug"] == "unreachable"
    await runner.close()


async def test_a_machine_behind_a_jump_host(runner, peer, key: Path) -> None:
    jump, behind = await peer(Hanging()), await peer(shell(), address="127.0.0.2")
    (key.parent / "known_hosts").write_text(f"[127.0.0.1]:{jump.port} {jump.public}\n")
    target = behind.target(address="127.0.0.2", jump=f"root@127.0.0.1:{jump.port}")
    assert (await events(runner, job(target)))[-1].kind == "result"
    assert jump.forwarded == [("127.0.0.2", behind.port)]


async def test_nothing_is_left_in_the_temporary_folder(
    key: Path, ssh, peer, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    runner = ProcessRunner(key, ssh)
    await events(runner, job((await peer(shell())).target()))
    await runner.close()
    assert not list((tmp_path / "tmp").iterdir())


async def test_the_zygote_alone_obeys_its_protocol(tmp_path: Path) -> None:
    """Cancelling what is unknown does nothing; the end of input ends it, with status 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "controller.runner",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    out, _ = await process.communicate(b'{"cancel": "nobody"}\n')
    assert json.loads(out) == {"hello": process.pid}
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("slug", "kind"),
    [
        ("refused", RefusedError),
        ("unreachable", Unreachable),
        ("node", NodeError),
        ("something new", NodeError),
    ],
)
def test_error_events_become_exceptions(slug: str, kind: type[Exception]) -> None:
    data = {"slug": slug, "what": "w", "where": "/dev/sda", "fix": "f"}
    error = as_error(RunnerEvent("j", "error", data), "node-1")
    assert type(error) is kind
    assert error.where == "node-1: /dev/sda"
