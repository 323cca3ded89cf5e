"""The first administrator, over TLS, in Chromium: from the code on the console to logging in with a second factor."""

import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime

import pyotp
import pytest

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

CODE = "from controller.cli.main import main; main()"
ARGUMENTS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-dev-shm-usage"]
LINK = re.compile(r"logs in as (\w+), once: (https://127\.0\.0\.1:\d+)/enter#([A-Z0-9-]+)")
PASSWORD = "seven green bicycles sing"


@pytest.fixture
def served(tmp_path):
    """`cto serve` beyond loopback, on a terminal, with nobody in it yet: what it printed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "serve", "--listen", "0.0.0.0", "--name", "127.0.0.1", "--port", "0"],
        env={**os.environ, "CTO_HOME": str(tmp_path / "home")},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = ""
    while not LINK.search(shown):
        shown += os.read(master, 4096).decode()
    assert re.search(r"SHA-256: ([0-9A-F]{2}:){31}[0-9A-F]{2}", shown)
    yield LINK.search(shown)
    process.terminate()
    process.wait(60)
    os.close(master)


async def test_from_the_code_to_the_second_factor(served):
    from playwright.async_api import async_playwright

    account, base, code = served.groups()
    assert account == "admin"
    async with async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
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
