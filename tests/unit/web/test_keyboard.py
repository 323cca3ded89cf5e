"""The main jobs without a mouse: where the focus is can always be seen, and it goes as the page reads."""

from datetime import timedelta

import pyotp
import pytest

from tests.unit.web.conftest import PASSWORD
from tests.unit.web.every_page import LOGGED_OUT, pages
from tests.unit.web.test_browser import DESK, PHONE, browser, opened  # noqa: F401
from tests.unit.web.test_pages import tags

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

# Whether it can be seen what has the focus: a thick line around it, inside the window.
SHOWN = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  if (at === document.body || !at.matches(":focus")) return "";  // at the end it is the browser's own turn
  const drawn = at.closest("svg") ? at.querySelector("rect") : null;
  const line = drawn ? parseFloat(getComputedStyle(drawn).strokeWidth) : style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  if (line < 2) return "no line around " + at.outerHTML.slice(0, 120);
  return box.bottom > 0 && box.top < innerHeight && box.width > 0 ? "" : "out of sight: " + at.outerHTML.slice(0, 120);
}"""


async def tab_to(page, selector, most=120):
    """Presses Tab until the focus is there. What is passed can be seen, too."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        assert await page.evaluate(SHOWN) == ""
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise LookupError(f"Tab does not reach {selector}")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_focus_can_be_seen_on_every_page(app, served, browser, full, size):  # noqa: F811
    page, _ = await opened(browser, served, size=size, script=False)
    for path in pages(app):
        await page.goto(served + path, wait_until="load")
        for _ in range(25):
            await page.keyboard.press("Tab")
            assert await page.evaluate(SHOWN) == "", path
    await page.context.close()


def test_no_page_has_an_order_of_its_own_for_the_focus(app, client, full):
    for path in [*pages(app), *LOGGED_OUT]:
        for tag, attributes in tags(client.get(path).text):
            assert attributes.get("tabindex", "0") in ("0", "-1"), (path, tag)
            assert "accesskey" not in attributes, (path, tag)


async def test_the_first_tab_skips_the_bar(served, browser, full):  # noqa: F811
    page, _ = await opened(browser, served)
    for path in ("/", "/pending", "/calendar", "/settings"):
        await page.goto(served + path, wait_until="domcontentloaded")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        assert await page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('main') !== null"), path
    await page.context.close()


async def test_logging_in_with_a_second_factor(served, browser, access, login, queries):  # noqa: F811
    who = login("anna").login.principal
    factor = pyotp.TOTP((made := access.begin_totp(who)).secret)
    access.confirm_totp(who, made.secret, factor.at(queries.now), PASSWORD)
    queries.now += timedelta(seconds=31)  # the code that was shown then is used up
    page = await (await browser.new_context(viewport=DESK)).new_page()
    await page.goto(f"{served}/login")
    for selector, text in (("#name", "anna"), ("#password", PASSWORD), ("#totp", factor.at(queries.now))):
        if not await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            await tab_to(page, selector)
        await page.keyboard.type(text)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#summary")
    await page.context.close()


async def test_searching_and_opening_what_was_found(served, browser, full):  # noqa: F811
    page, _ = await opened(browser, served)
    await page.wait_for_selector("#live[data-state=on]")  # the scripts are there, too
    await page.keyboard.press("/")
    await page.keyboard.type("berlin-w-1")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".hits")
    await tab_to(page, ".hits a")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#node")
    assert "berlin-w-1" in await page.locator("h1").inner_text()
    await page.context.close()


async def test_freezing_a_site(served, browser, windows, opened_services):  # noqa: F811
    page, _ = await opened(browser, served)
    await page.goto(f"{served}/calendar")
    await tab_to(page, "input[name=site][value=berlin]")
    await page.keyboard.press("Space")
    await tab_to(page, "#freeze-reason")
    await page.keyboard.type("audit week")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".said")
    with opened_services() as services:
        assert [(each.site, each.reason) for each in services.store.freezes()] == [("berlin", "audit week")]
    await page.context.close()


async def test_holding_a_rollout_from_the_list(served, browser, full, rollout, opened_services):  # noqa: F811
    page, _ = await opened(browser, served)
    await page.goto(f"{served}/rollouts")
    await tab_to(page, "summary")
    await page.keyboard.press("Enter")
    await tab_to(page, "input[name=rollout]")
    await page.keyboard.press("Space")
    await tab_to(page, "input[value=pause]")
    await page.keyboard.press("Space")
    await tab_to(page, "#several-reason")
    await page.keyboard.type("a customer calls")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".said:has-text('Ordered')")
    with opened_services() as services:
        assert [each.verb for each in services.store.rollout_commands(rollout["id"])] == ["pause"]
    await page.context.close()
