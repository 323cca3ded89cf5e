"""The first administrator, over TLS, in Chromium: from the code on the console to logging in with a second factor."""

import re
from datetime import UTC, datetime

import pyotp
import pytest

from tests.e2e.web.terminal import CHROMIUM, serving

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

PASSWORD = "seven green bicycles sing"


@pytest.fixture
def served(tmp_path):
    """`cto serve` beyond loopback, with nobody in it yet: what it printed."""
    with serving(tmp_path / "home", "--listen", "0.0.0.0", "--name", "127.0.0.1") as found:
        assert re.search(r"SHA-256: ([0-9A-F]{2}:){31}[0-9A-F]{2}", found.string)
        yield found


async def test_from_the_code_to_the_second_factor(served):
    from playwright.async_api import async_playwright

    account, base, code = served["account"], served["base"], served["code"]
    assert account == "admin"
    async with async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = await browser.new_context(ignore_https_errors=True)  # it is our own certificate
        page = await context.new_page()
        await page.goto(f"{base}/enter#{code}")
        await page.fill("#password", PASSWORD)
        await page.fill("#again", PASSWORD)
        await page.click("text=Keep it")
        await page.wait_for_selector("#me-title")
        (cookie,) = await context.cookies()
        assert cookie["name"].startswith("__Host-cto-")
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        await page.click("text=Set up a second factor")
        secret = await page.inner_text(".secret")
        factor = pyotp.TOTP(secret)
        await page.fill("#code", factor.at(datetime.now(UTC)))
        await page.fill("#password", PASSWORD)
        await page.click("text=Turn it on")
        await page.wait_for_selector(".said")
        await page.click(".leave button")
        await page.wait_for_selector("#name")
        assert await context.cookies() == []
        await page.fill("#name", "admin")
        await page.fill("#password", PASSWORD)
        await page.fill("#totp", factor.at(datetime.now(UTC), counter_offset=1))  # the one now was used
        await page.click("button:has-text('Log in')")
        await page.wait_for_selector("#summary")
        await page.goto(f"{base}/audit")
        assert "set second factor" in await page.inner_text("main")
        await browser.close()
