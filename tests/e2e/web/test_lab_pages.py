"""The pages over a lab that was really installed: the link that `cto serve` prints, opened in Chromium."""

import os
import pty
import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser"), pytest.mark.slow]

CODE = "from controller.cli.main import main; main()"
ARGUMENTS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-dev-shm-usage"]
LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/enter#([A-Z0-9-]+)")


@pytest.fixture
def served(make_lab):
    """A lab of one site, installed; `cto serve` on a terminal; the address and the code that it printed."""
    lab = make_lab("1")
    lab.ok("apply", "-f", lab.site, "--yes")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "serve", "--port", "0"],
        env={**os.environ, "CTO_HOME": str(lab.home)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = ""
    while not LINK.search(shown):
        shown += os.read(master, 4096).decode()
    yield LINK.search(shown)
    process.terminate()
    process.wait(60)
    os.close(master)


async def test_the_printed_link_opens_every_page(served):
    from playwright.async_api import async_playwright

    base, _ = served[1], served[2]
    async with async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = await browser.new_page()
        complaints = []
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        await page.goto(served[0])
        await page.wait_for_selector("#summary")
        links = await page.eval_on_selector_all("nav a", "all => all.map(each => each.getAttribute('href'))")
        assert {"/sites", "/clusters", "/nodes", "/calendar", "/audit", "/settings"} <= set(links)
        node = await page.get_attribute("svg a", "href")
        for path in (*links, node, f"{node}/facts"):
            await page.goto(base + path)
            await page.wait_for_selector("main")
        await page.goto(base + node)
        await page.wait_for_selector("#node .tone-good:has-text('ready')")
        await page.wait_for_selector("#node-disks")
        assert complaints == []
        await browser.close()
