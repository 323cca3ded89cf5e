"""Orders in a real browser: by keyboard alone, and nothing that has the focus lies under the bar of orders."""

import pytest

from tests.unit.web.test_browser import DESK, PHONE, browser, opened  # noqa: F401 - a fixture

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

# Whether what has the focus can be seen: it is not wholly behind the bar at the lower edge (WCAG 2.4.11).
SEEN = """() => {
  const at = document.activeElement, bar = document.querySelector(".orders");
  if (at === document.body || bar.contains(at)) return true;
  return at.getBoundingClientRect().top < bar.getBoundingClientRect().top;
}"""
WHERE = "document.activeElement.textContent.trim() || document.activeElement.id"


async def tab_to(page, text, most=80):
    """Presses Tab until something of that text has the focus; what is passed has to be in sight."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if text in await page.evaluate(WHERE):
            return
    raise LookupError(text)


async def test_a_rollout_is_paused_by_keyboard(served, browser, full, rollout, opened_services):  # noqa: F811
    page, complaints = await opened(browser, served)
    await page.goto(f"{served}/rollouts/{rollout['id']}")
    await tab_to(page, "Pause")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("h2:has-text('What it does')")
    await tab_to(page, "order-reason")
    await page.keyboard.type("a customer calls")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".said:has-text('Ordered')")
    with opened_services() as services:
        (order,) = services.store.rollout_commands(rollout["id"])
    assert (order.verb, order.reason) == ("pause", "a customer calls")
    assert complaints == []
    await page.context.close()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_bar_of_orders_hides_nothing_that_has_the_focus(served, browser, full, rollout, size):  # noqa: F811
    page, _ = await opened(browser, served, size=size)
    await page.goto(f"{served}/rollouts/{rollout['id']}")
    passed = 0
    while True:
        await page.keyboard.press("Tab")
        passed += 1
        assert await page.evaluate(SEEN), await page.evaluate(WHERE)
        if "Abort" in await page.evaluate(WHERE):
            break
    assert passed > 15
    await page.context.close()


async def test_a_machine_is_let_in_by_keyboard(served, browser, full, machine, opened_services):  # noqa: F811
    page, complaints = await opened(browser, served)
    await page.goto(f"{served}/pending")
    await tab_to(page, f"name-{machine['id']}")
    await page.keyboard.type("berlin-w-9")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".said:has-text('Approved')")
    with opened_services() as services:
        assert services.store.enrollment(machine["id"]).state == "approved"
    assert complaints == []
    await page.context.close()
