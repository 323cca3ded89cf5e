"""On a phone's screen, with `cto serve` as the engine: a rollout of the lab is steered, a lab machine let in."""

from contextlib import asynccontextmanager

import pytest

from tests.e2e.harness import ended, until
from tests.e2e.rollout_harness import Rollouts
from tests.e2e.web.terminal import CHROMIUM, serving

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser"), pytest.mark.slow]

OLD, NEW = "1.13.8", "1.13.9"
NEVER = {"validFrom": "2001-01-01", "validUntil": "2001-01-02"}
PHONE = {"width": 390, "height": 844}
WAIT = 90_000  # ms


@pytest.fixture
def world(make_lab):
    """One installed cluster, whose window never opens."""
    lab = make_lab("1", "--talos", OLD)
    lab.apply()
    made = Rollouts(lab)
    made.declare(window=NEVER)
    return made


@asynccontextmanager
async def phone(link):
    """A page that is logged in, and its address. Nothing on it may fail."""
    from playwright.async_api import async_playwright

    async with async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = await browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
        page = await context.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        await page.goto(link)
        await page.wait_for_selector("#summary")
        yield page, page.url.rstrip("/")
        assert complaints == []
        await browser.close()


async def order(page, verb, then):
    """Taps, reads what it does, gives a reason, taps again; then the state changes on the open page."""
    await page.tap(f".orders a:has-text('{verb}')")
    await page.wait_for_selector("h2:has-text('What it does')")
    await page.fill("#order-reason", f"{verb} by thumb")
    await page.tap(f"main button:has-text('{verb}')")
    await page.wait_for_selector(f"h1 .badge:has-text('{then}')", timeout=WAIT)


async def test_a_rollout_is_steered_by_thumb(world):
    with serving(world.lab.home) as served, ended(world.lab.start(*world.begin("--talos", NEW))) as following:
        async with phone(served["link"]) as (page, base):
            until(lambda: world.lab.rows("SELECT id FROM rollouts"), "the rollout", seconds=120)
            await page.goto(f"{base}/rollouts")
            await page.tap("#list tbody th a")
            await page.wait_for_selector("#rollout :text('outside its maintenance windows')", timeout=WAIT)
            await page.wait_for_selector("#waves svg a[aria-label$='waits']")
            await order(page, "Pause", "paused")
            await order(page, "Resume", "running")
            await order(page, "Abort", "aborted")
            await page.wait_for_selector("#rollout-events :text('Abort by thumb')", timeout=WAIT)
        following.wait(timeout=120)
    assert following.returncode == 5
    orders = world.lab.rows("SELECT verb, actor, reason FROM rollout_commands ORDER BY at")
    assert [row["verb"] for row in orders] == ["pause", "resume", "abort"]
    assert {row["actor"] for row in orders} == {"user:local"}
    assert world.calls(f"{world.status()['clusters'][0]['name']}-1") == {}  # nothing was begun


async def test_a_machine_is_let_in_by_thumb(make_lab):
    lab = make_lab("1", "--enroll")
    name = lab.info().machines[0].name
    with serving(lab.home) as served:
        async with phone(served["link"]) as (page, base):
            await page.goto(f"{base}/pending")
            await page.wait_for_selector("#pending-window :text('closed')")
            lab.ok("enroll", "open", "--interface", "127.0.0.1", "--port", "0")
            await page.tap("#pending-window a[href*='see=']", timeout=WAIT)  # it came without a reload
            machine = until(
                lambda: m if (m := lab.machine(name)).enroll_words else None, "its words", seconds=120
            )
            await page.wait_for_selector(".six li")
            words = await page.locator(".six li").all_inner_texts()
            assert ["ENROLL", *words] == machine.enroll_words.split()
            await page.tap("label:has-text('I have compared')")
            await page.tap("main button:has-text('Approve')")
            await page.wait_for_selector(".said:has-text('Approved')")
            until(lambda: lab.machine(name).enroll_state == "approved" or None, "it hears so", seconds=120)
    assert lab.node_state(name) == "pinned"
