"""The page in a real browser: light and dark, desk and phone, live, and with hostile texts."""

from dataclasses import replace

import pytest

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
ARGUMENTS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture
async def browser():
    from playwright.async_api import async_playwright

    async with async_playwright() as engine:
        started = await engine.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield started
        await started.close()


async def opened(browser, url, *, size=DESK, scheme="light", script=True):
    """A page, and the list that collects what its console complains about."""
    context = await browser.new_context(
        viewport=size, color_scheme=scheme, java_script_enabled=script, reduced_motion="reduce"
    )
    page = await context.new_page()
    complaints = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(url[:16]) else complaints.append(request.url),
    )
    await page.goto(url, wait_until="domcontentloaded")
    return page, complaints


async def too_wide(page):
    return await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


# Relative luminance of WCAG 2.2, between each text's color and the nearest painted background behind it.
CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => { for (let n = node; n; n = n.parentElement) { const c = rgb(getComputedStyle(n).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || node.closest("svg, noscript, .skip")) continue;
    const a = light(rgb(getComputedStyle(node).color)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${node.className || node.tagName} ${ratio.toFixed(2)}: ${walker.currentNode.textContent.trim().slice(0, 30)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_and_can_be_read(served, browser, scheme):
    page, complaints = await opened(browser, served, scheme=scheme)
    for path in ("/", "/nodes/berlin-cp-1", "/events"):
        await page.goto(served + path, wait_until="domcontentloaded")
        await page.wait_for_selector("#live[data-state=on]")
        for size in (DESK, PHONE):
            await page.set_viewport_size(size)
            assert not await too_wide(page), (path, size)
            assert await page.evaluate(CONTRAST) == [], (path, size)
    assert complaints == []
    await page.context.close()


async def test_progress_moves_without_reloading(served, browser, queries):
    page, complaints = await opened(browser, served)
    await page.wait_for_selector("text=50 %")
    await page.focus("#row-berlin-w-1")
    queries.change("berlin-cp-2", done=9_437_184)
    await page.wait_for_selector("text=75 %")
    queries.change("berlin-cp-2", state="imaged", step="", done=0, total=0)
    await page.wait_for_selector("text=imaged, unfinished")
    assert await page.evaluate("document.activeElement.id") == "row-berlin-w-1"
    assert complaints == []
    await page.context.close()


async def test_everything_is_there_without_scripts(served, browser):
    page, _ = await opened(browser, served, script=False)
    assert await page.locator("#row-porto-1").is_visible()
    assert await page.locator("svg a").count() == 5
    assert "not live" in await page.locator("#live").inner_text()
    await page.context.close()


async def test_the_keyboard_reaches_every_node(served, browser):
    page, _ = await opened(browser, served, script=False)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(40):
        await page.keyboard.press("Tab")
        seen.add(await page.evaluate("document.activeElement.id"))
    assert {"row-berlin-cp-1", "row-berlin-w-1", "row-porto-1", "row-spare"} <= seen
    await page.context.close()


async def test_hostile_texts_do_not_run(served, browser, queries, payloads):
    view, event = queries.node_views[0], queries.event_views[0]
    for number, payload in enumerate(payloads):
        queries.node_views.append(
            replace(view, name=payload, problem=payload, address=payload, talos=payload, role=payload)
        )
        queries.event_views.append(
            replace(event, id=100 + number, message=payload, subject=payload, kind=payload)
        )
    page, complaints = await opened(browser, served, size=PHONE)
    await page.wait_for_selector("#live[data-state=on]")
    queries.change("porto-1", problem=payloads[0])  # and once more through the live update
    await page.wait_for_selector("tr:has(#row-porto-1) .problem:has-text('__hit')")
    assert await page.evaluate("window.__hit") is None
    assert await page.locator("main script, main img").count() == 0
    assert complaints == []
    assert not await too_wide(page)
    await page.context.close()
