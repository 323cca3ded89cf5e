"""Every page, light and dark, at a desk and on a phone: it fits, can be read, and offends none of axe's rules.

The pictures are kept in `artifacts/screens`, to be looked at.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inventory.fleet import Fleet, Site
from tests.unit.web.every_page import LOGGED_OUT, WIDE, name_of, pages
from tests.unit.web.test_browser import CONTRAST, DESK, PHONE, browser, opened  # noqa: F401

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

ROOT = Path(__file__).parents[3]
SCREENS = ROOT / "artifacts" / "screens"
HARDWARE = ROOT / "tests" / "fixtures" / "hardware"
SIZES = {"desk": DESK, "phone": PHONE}
GRAVE = ("serious", "critical")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def rich(full, queries, access, machine):
    """Beside something on every page: a machine with disks, steps in the past, several machines that wait."""
    body = json.loads((HARDWARE / "dell-r660.json").read_text())
    body = {"facts": body["facts"], "problems": []}
    older = json.loads(json.dumps(body))
    older["facts"]["smart"]["items"][1]["percentage_used"] = 0
    older["facts"]["memory"]["total"] //= 2
    queries.facts_by_node["berlin-cp-1"] = [
        {"taken_at": f"2026-03-0{day}T11:57:00Z", "digest": f"{day}a" * 16, "body": each}
        for day, each in ((2, body), (1, older))
    ]
    began = replace(
        queries.event_views[-1],
        id=3,
        kind="StepStarted",
        at="2026-03-02T11:59:10Z",
        message="verify by fresh reads",
    )
    queries.event_views.insert(2, began)
    another = {
        **machine,
        "id": "7c01d2ab",
        "address": "10.0.0.51",
        "words": "ENROLL zoo zone zero young you year",
    }
    values = {**another, "token": "AAAAAAAAAA", "hardware": json.dumps({"serial": "S-2"})}
    values["conflict"] = "two machines say they are S-2"
    values["node_key"], values["request"], values["session"] = "b" * 64, "c" * 64, "d" * 64

    def put(services):
        marks = ", ".join("?" * len(values))
        services.store._connection.execute(
            f"INSERT INTO enrollments ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )

    access._writing.run(put)


@pytest.fixture
def known_sites(access):
    """In the store as well as in the fixture."""
    sites = {name: Site(name, "acme", "UTC", ()) for name in ("berlin", "porto")}
    access._writing.run(lambda s: s.store.declare(Fleet("acme", sites, {}, {}), actor="test"))


async def axe(page):
    """What is serious for somebody who sees or moves less."""
    from axe_playwright_python.async_playwright import Axe

    found = (await Axe().run(page, options=RULES)).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:300]) for each in found if each["impact"] in GRAVE]


async def keep(page, name):
    SCREENS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_and_can_be_used_by_everybody(app, served, browser, rich, scheme, size):  # noqa: F811
    page, complaints = await opened(browser, served, scheme=scheme, size=SIZES[size])
    found = pages(app)
    assert len(found) > 25
    for path in [*found, *LOGGED_OUT]:
        if path == "/login":
            await page.context.clear_cookies()
        await page.goto(served + path, wait_until="domcontentloaded")
        await keep(page, f"{name_of(path)}-{scheme}-{size}")
        assert await page.evaluate(WIDE) == [], path
        assert await page.evaluate(CONTRAST) == [], path
        await page.evaluate(
            "scrollTo(0, document.body.scrollHeight)"
        )  # where the bar of orders covers nothing
        assert await axe(page) == [], path
    assert [each for each in complaints if "404" not in each] == []
    await page.context.close()


@pytest.mark.parametrize("size", list(SIZES))
async def test_a_token_that_is_shown_once_fits_too(served, browser, known_sites, size):  # noqa: F811
    """The answer to an order is no page of its own, so nothing above comes by it."""
    page, _ = await opened(browser, served, size=SIZES[size])
    await page.goto(served + "/pending")
    await page.get_by_role("button", name="Make a token").click()
    await page.get_by_text("Shown once").wait_for()
    assert page.url.endswith("/pending/token")
    await keep(page, f"pending-token-light-{size}")
    assert await page.evaluate(WIDE) == []
    assert await page.evaluate(CONTRAST) == []
    assert await axe(page) == []
    await page.context.close()


def test_a_page_without_an_example_would_be_noticed(app):
    app.add_url_rule("/things/<name>", "things.one", lambda name: name)
    with pytest.raises(LookupError, match=r"things\.one"):
        pages(app)
