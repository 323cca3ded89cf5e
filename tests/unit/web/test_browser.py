"""The page in a real browser: light and dark, desk and phone, live, and with hostile texts."""

from dataclasses import replace

import pytest

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WAIT = 90_000  # ms; of a busy machine
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
    context.set_default_timeout(WAIT)
    await context.add_cookies([{"name": url.cookie[0], "value": url.cookie[1], "url": str(url)}])
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


async def test_a_link_from_the_terminal_logs_in(served, browser, access):
    """The code is behind the "#": it is in no request line and no history entry afterwards."""
    from controller.app.people_admin import new_code

    code = access._writing.run(lambda s: new_code(s, "local", actor="local:ada"))
    context = await browser.new_context()
    page = await context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served}/enter#{code}")
    await page.wait_for_selector("#summary")
    assert "local" in await page.locator(".leave").inner_text()
    assert not [url for url in asked if code in url.split("#")[0]]
    await page.go_back()
    assert code not in page.url
    await page.goto(f"{served}/enter#{code}")  # the same link again, in the same browser
    await page.wait_for_selector("#summary")
    await context.close()


async def test_freezing_with_a_thumb_and_without_a_script(served, browser, windows, opened_services):
    context = await browser.new_context(viewport=PHONE, java_script_enabled=False)
    await context.add_cookies([{"name": served.cookie[0], "value": served.cookie[1], "url": str(served)}])
    page = await context.new_page()
    await page.goto(f"{served}/calendar")
    await page.check("text=every site")
    await page.fill("#freeze-reason", "audit week <b>now</b>")
    button = page.get_by_role("button", name="Freeze", exact=True)
    assert (await button.bounding_box())["height"] >= 44
    await button.click()
    assert "nothing new starts" in await page.locator(".said").inner_text()
    assert "audit week <b>now</b>" in await page.locator("#calendar-now").inner_text()
    with opened_services() as services:
        assert [each.actor for each in services.store.freezes()] == ["user:anna"]
    await context.close()


async def test_an_ended_session_is_said_and_not_shown_as_live(served, browser, queries, access):
    page, _ = await opened(browser, served)
    await page.wait_for_selector("#live[data-state=on]")
    access.logout(served.cookie[1])
    queries.change("berlin-cp-2", done=9_437_184)
    await page.wait_for_selector("text=your session is over", timeout=30_000)
    await page.context.close()


async def test_hostile_texts_of_people_do_not_run(
    served, browser, windows, payloads, access, opened_services
):
    """In reasons, notes and audit rows, which people write."""
    from web.access.grants import Grant

    with opened_services() as services:
        for number, text in enumerate(payloads):
            if len(text.split()) >= 1 and len(" ".join(text.split())) <= 80:
                who = access._open("anna", "password", "x").principal
                access.create_api_token(who, Grant.parse("viewer"), note=text, days=1)
            if len(" ".join(text.split())) >= 8:
                from controller.app.windows import freeze

                freeze(services, reason=text[:400], actor=f"user:{number}")
    page, complaints = await opened(browser, served, size=PHONE)
    for path in ("/calendar", "/settings", "/audit", "/events"):
        await page.goto(served + path, wait_until="domcontentloaded")
        assert await page.evaluate("window.__hit") is None
        assert await page.locator("main script, main img").count() == 0
        assert not await too_wide(page), path
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
