"""On paper and on a phone's home screen: what is printed holds no secret and no form; the manifest is valid."""

import pytest

from tests.unit.web.every_page import WIDE, pages
from tests.unit.web.test_browser import browser, opened  # noqa: F401

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

PAPER = {"width": 720, "height": 1020}  # A4 between its margins, at 96 dots per inch
LEFT = """() => [...document.querySelectorAll("form, button, input, select, .secret, .qr, nav")]
  .filter((node) => node.checkVisibility()).map((node) => node.outerHTML.slice(0, 120))"""


async def printed(page):
    await page.wait_for_load_state("load")  # without its style sheet everything would show
    await page.emulate_media(media="print")
    assert await page.evaluate(LEFT) == []
    assert await page.evaluate(WIDE) == [], page.url
    text = await page.evaluate("document.body.innerText")
    await page.emulate_media(media="screen")
    return text


async def test_every_page_can_be_printed(app, served, browser, full):  # noqa: F811
    page, _ = await opened(browser, served, scheme="dark", size=PAPER)
    for path in pages(app):
        await page.goto(served + path, wait_until="load")
        await printed(page)
        await page.emulate_media(media="print")
        white = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert white == "rgb(255, 255, 255)", path
        await page.emulate_media(media="screen")
    await page.context.close()


async def test_what_is_printed_is_what_is_known(served, browser, full, rollout):  # noqa: F811
    page, _ = await opened(browser, served, size=PAPER)
    await page.goto(f"{served}/rollouts/{rollout['id']}")
    text = await printed(page)
    assert "needs-hands" in text
    assert "Shown as known at" in text
    assert (await page.pdf())[:5] == b"%PDF-"
    await page.context.close()


async def test_nothing_secret_is_printed(served, browser, full):  # noqa: F811
    """Neither a token that is shown once, nor a second factor that is being set up."""
    page, _ = await opened(browser, served, size=PAPER)
    await page.goto(f"{served}/settings")
    await page.click("summary:has-text('Make one')")
    await page.fill("#note", "backup job")
    await page.click("button:has-text('Make it')")
    token = await page.locator(".secret").inner_text()
    assert token.startswith("cto_")
    assert token not in await printed(page)
    await page.goto(f"{served}/settings")
    await page.click("button:has-text('Set up a second factor')")
    secret = await page.locator("code.secret").inner_text()
    assert len(secret) >= 16
    assert secret not in await printed(page)
    await page.context.close()


async def test_it_can_be_put_on_a_home_screen(served, browser):  # noqa: F811
    page, _ = await opened(browser, served)
    chromium = await page.context.new_cdp_session(page)
    manifest = await chromium.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"] == f"{served}/static/manifest.json"
    found = await (await page.request.get(manifest["url"])).json()
    for each in (found["start_url"], *(shortcut["url"] for shortcut in found["shortcuts"])):
        assert each.startswith(found["scope"])
        assert (await page.request.get(served + each)).status == 200
    for icon in found["icons"]:
        answer = await page.request.get(served + icon["src"])
        assert answer.headers["content-type"].startswith(icon["type"])
    errors = (await chromium.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    assert [each for each in errors if each["errorId"] != "in-incognito"] == []
    await page.context.close()


async def test_nothing_moves_for_those_who_ask_for_that(served, browser, full):  # noqa: F811
    page, _ = await opened(browser, served)  # which asks for reduced motion
    moving = await page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((node) => {
          const style = getComputedStyle(node);
          return style.animationName !== "none" || !/^0s(, 0s)*$/.test(style.transitionDuration);
        }).length"""
    )
    assert moving == 0
    await page.context.close()
