"""`cto serve` re-reads nodes: one that goes dark becomes a problem on the page, and stops being one when it is back."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from controller.app.watch import watch
from controller.wiring import on_loop, open_services
from iso.lab import client
from tests.e2e.harness import ended
from tests.e2e.rollout_harness import Rollouts


async def _until(check: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.05)


async def test_a_dark_node_is_seen(make_lab) -> None:
    lab = make_lab("1")
    lab.ok("apply", "-f", lab.site, "--yes")
    name = client.info(Path(lab.home)).machines[0].name
    with open_services(Path(lab.home)) as services:
        async with on_loop(services):
            watching = asyncio.ensure_future(watch(services, every=0.1))
            client.command(Path(lab.home), {"op": "power", "machine": name, "action": "off"})
            await _until(lambda: bool(services.store.node(name).problem))
            assert name in services.store.node(name).problem or "→" in services.store.node(name).problem
            client.command(Path(lab.home), {"op": "power", "machine": name, "action": "on"})
            await _until(lambda: not services.store.node(name).problem)
            watching.cancel()


async def test_what_a_rollout_does_is_no_problem(make_lab) -> None:
    """A node that is away or runs the new version already is its rollout's matter, which looks closely."""
    rollouts = Rollouts(make_lab("1", "--talos", "1.13.8"))
    lab = rollouts.lab
    lab.ok("apply", "-f", lab.site, "--yes")
    with (
        open_services(Path(lab.home)) as services,
        ended(lab.start(*rollouts.begin("--talos", "1.13.9"))) as run,
    ):
        async with on_loop(services):
            watching = asyncio.ensure_future(watch(services, every=0.02))
            await _until(lambda: run.poll() is not None, 240)
            watching.cancel()
    assert rollouts.status()["status"] == "succeeded"
    assert rollouts.events("ProblemFound") == []
