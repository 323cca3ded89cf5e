"""The pages over a lab that was really installed: the link that `cto serve` prints, opened in Chromium."""

from pathlib import Path

import pytest

from tests.e2e.web.terminal import CHROMIUM, serving
from tests.unit.web.every_page import WIDE, name_of

SCREENS = Path(__file__).parents[3] / "artifacts" / "screens"

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser"), pytest.mark.slow]


async def keep(page, path):
    """Pictures of pages over real data, at a desk and on a phone, to be looked at."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for width, height in ((390, 844), (1280, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await page.evaluate(WIDE) == [], path
        await page.screenshot(path=SCREENS / f"lab-{name_of(path)}-{width}.png", full_page=True)


@pytest.fixture
def served(make_lab):
    """A lab of one site, installed, with its pages: what `cto serve` printed."""
    lab = make_lab("1")
    lab.ok("apply", "-f", lab.site, "--yes")
    with serving(lab.home) as found:
        yield found


async def test_the_printed_link_opens_every_page(served):
    from playwright.async_api import async_playwright

    base = served["base"]
    async with async_playwright() as engine:
        browser = await engine.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = await browser.new_page()
        complaints = []
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        await page.goto(served["link"])
        await page.wait_for_selector("#summary")
        links = await page.eval_on_selector_all("nav a", "all => all.map(each => each.getAttribute('href'))")
        assert {"/sites", "/clusters", "/nodes", "/calendar", "/audit", "/settings"} <= set(links)
        node = await page.get_attribute("svg a", "href")
        for path in (*links, node, f"{node}/facts"):
            await page.goto(base + path)
            await page.wait_for_selector("main")
            await keep(page, path)
        await page.goto(base + node)
        await page.wait_for_selector("#node .tone-good:has-text('ready')")
        await page.wait_for_selector("#node-disks")
        assert complaints == []
        await browser.close()
