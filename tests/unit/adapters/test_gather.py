"""Facts from several machines: real shells answer, one lies, one is not there."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

from controller.app.gather import Gathered, gather, gather_one, with_skew
from facts.machine.clock import FACT as CLOCK
from facts.machine.clock import Clock as ClockValue
from facts.machine.memory import FACT as MEMORY
from facts.machine.os import FACT as OS
from facts.snapshot import Facts
from inventory.errors import CommandFailed, HostKeyMismatch, Unreachable
from tests.peers_ssh import shell


class Wall:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_every_machine_gives_an_answer_whatever_happens_to_the_others(ssh, peer) -> None:
    good, gone, strange = await peer(shell()), await peer(shell()), await peer(shell())
    targets = [good.target(f"good-{n}") for n in range(5)]
    targets += [gone.target("gone"), strange.target("strange", host_key=good.public)]
    await gone.close()
    found: dict[str, Gathered] = {}
    async for each in gather(ssh, targets, [CLOCK, MEMORY, OS], clock=Wall(), concurrency=3):
        found[each.target.name] = each
    assert len(found) == 7
    for number in range(5):
        facts = found[f"good-{number}"].facts
        assert facts is not None
        assert facts.problems == ()
        assert facts.get(MEMORY) is not None
        clock = facts.get(CLOCK)
        assert clock is not None
        assert clock.skew == 0
    assert isinstance(found["gone"].error, Unreachable)
    assert isinstance(found["strange"].error, HostKeyMismatch)


async def test_one_machine_is_one_command_on_one_connection(ssh, peer) -> None:
    server = await peer(shell())
    await gather_one(ssh, server.target(), [CLOCK, MEMORY, OS], clock=Wall())
    assert len(server.commands) == len(server.connections) == 1


async def test_every_script_has_a_boundary_of_its_own(ssh, peer) -> None:
    server = await peer(shell())
    for _ in range(3):
        await gather_one(ssh, server.target(), [OS], clock=Wall())
    assert len({re.search(r"[0-9a-f]{32}", command)[0] for command in server.commands}) == 3


async def test_a_machine_that_answers_nonsense_is_no_unreachable_machine(ssh, peer) -> None:
    async def liar(process) -> None:
        process.stdout.write(b"\x00\xff This account is currently not available.\n")
        process.exit(1)

    answer = await gather_one(ssh, (await peer(liar)).target(), [OS], clock=Wall())
    assert isinstance(answer.error, CommandFailed)
    assert "status 1" in str(answer.error)


async def test_a_machine_that_never_stops_talking_is_cut_off(ssh, peer) -> None:
    answer = await gather_one(ssh, (await peer(shell())).target(), [OS], clock=Wall())
    assert answer.facts is not None

    async def chatter(process) -> None:
        while True:
            process.stdout.write(bytes(65536))
            await process.stdout.drain()

    answer = await gather_one(ssh, (await peer(chatter)).target(), [OS], clock=Wall())
    assert answer.facts is None


def test_a_clock_is_only_accused_of_what_is_proved() -> None:
    start = datetime(2026, 11, 25, 12, tzinfo=UTC)
    end = start + timedelta(seconds=4)

    def skew(seconds: float) -> float | None:
        facts = Facts(values={"clock": ClockValue(epoch=start.timestamp() + seconds)})
        clock = with_skew(facts, start, end).get(CLOCK)
        return clock.skew if clock else None

    assert [skew(s) for s in (0, 2, 4)] == [0, 0, 0]
    assert skew(10) == 6
    assert skew(-3) == -3
    assert with_skew(Facts(), start, end) == Facts()


async def test_stopping_early_leaves_nothing_running(ssh, peer) -> None:
    server = await peer(shell())
    stream = gather(ssh, [server.target(f"n{n}") for n in range(20)], [OS], clock=Wall(), concurrency=4)
    await anext(stream)
    await stream.aclose()
    assert not [task for task in asyncio.all_tasks() if "gather_one" in repr(task)]
