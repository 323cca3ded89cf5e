"""Hostile texts in every field of everything that pages read: none runs, none breaks a page.

A machine, a publisher or a person may have written any of them. Names that our own pages look things up by
are kept in one copy of each thing, and hostile in a second one.
"""

import itertools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum

import pytest

from tests.unit.web.every_page import WIDE, pages
from tests.unit.web.test_browser import DESK, PHONE, browser, opened  # noqa: F401
from tests.unit.web.test_pages import tags
from tests.unit.web.test_screens import rich  # noqa: F401
from web.present import parse_time

# Our own words, of which the store takes no others.
KEPT = {"state", "status", "stage", "phase", "mode", "standing", "level"}
NAMES = {"name", "site", "cluster", "id", "account", "node", "clusters"}


class Texts:
    """Hands out hostile texts in turn."""

    def __init__(self, payloads):
        self.payloads, self._turn = payloads, itertools.cycle(payloads)

    def set(self, *payloads):
        self._turn = itertools.cycle(payloads)

    def next(self):
        return next(self._turn)


def poisoned(value, texts, kept, name=""):
    if isinstance(value, (Enum, int, float, bool)) or value is None or name in kept:
        return value
    if isinstance(value, str):
        return value if parse_time(value) else texts.next()
    if is_dataclass(value):
        made = {
            f.name: poisoned(getattr(value, f.name), texts, kept, f.name) for f in fields(value) if f.init
        }
        return replace(value, **made)
    if isinstance(value, Mapping):
        more = {} if name in ("summary", "facts", "body") else {texts.next(): texts.next()}
        return {key: poisoned(each, texts, kept, key) for key, each in value.items()} | more
    return tuple(poisoned(each, texts, kept, name) for each in value)


class Poisoned:
    """A port whose answers are hostile. `reads`: which of its methods those are; empty: all."""

    def __init__(self, port, texts, reads=()):
        self._port, self._texts, self._reads = port, texts, reads

    def __getattr__(self, name):
        method = getattr(self._port, name)
        if name.startswith("_") or (self._reads and name not in self._reads):
            return method

        def call(*args, **named):
            answer = method(*args, **named)
            mine = poisoned(answer, self._texts, KEPT | NAMES)
            if isinstance(answer, (list, tuple)) and answer and is_dataclass(answer[0]):
                return (*mine, *poisoned(answer, self._texts, KEPT))
            return mine

        return call


class PoisonedCalendar(Poisoned):
    def state(self, zone=""):
        found = self._port.state(zone)
        mine = poisoned(found, self._texts, KEPT | NAMES)
        theirs = poisoned(found, self._texts, KEPT)
        return replace(
            mine, sites=(*mine.sites, *theirs.sites), overrides=(*mine.overrides, *theirs.overrides)
        )

    def entries(self, site, first, last, zone=""):
        return poisoned(self._port.entries("berlin", first, last), self._texts, KEPT)


@pytest.fixture
def texts(payloads):
    return Texts(payloads)


@pytest.fixture
def backend(backend, texts):
    return replace(
        backend,
        queries=Poisoned(backend.queries, texts),
        records=Poisoned(backend.records, texts),
        access=Poisoned(backend.access, texts, {"accounts", "sessions", "api_tokens"}),
        calendar=PoisonedCalendar(backend.calendar, texts),
        enrolling=Poisoned(backend.enrolling, texts, {"would_be", "would_be_all"}),
        updates=Poisoned(backend.updates, texts),
        upkeep=Poisoned(backend.upkeep, texts),
    )


@pytest.fixture
def hostile(rich, access, opened_services, login):  # noqa: F811
    """Something of everything, also of what people switch."""
    from datetime import timedelta

    from controller.app.windows import freeze, request_override
    from web.access.grants import Grant

    with opened_services() as services:
        freeze(services, reason="audit week", actor="user:anna", site="porto")
        request_override(
            services,
            site="berlin",
            reason="a failing disk",
            length=timedelta(hours=1),
            actor="user:otto",
            people=3,
        )
    access.create_api_token(login("anna").login.principal, Grant.parse("viewer"), note="backup", days=1)


def test_no_text_becomes_a_tag_or_an_attribute(app, client, hostile, texts):
    allowed = {"data-copy", "data-live", "data-label", "data-submit", "data-key", "data-state", "data-known"}
    for payload in texts.payloads:
        texts.set(payload)
        for path in pages(app):
            answer = client.get(path)
            assert answer.status_code in (200, 404), (path, payload, answer.text[-600:])
            for tag, attributes in tags(answer.text):
                assert tag not in ("iframe", "style", "img", "object", "embed", "base"), (path, payload)
                assert tag != "script" or attributes["src"].startswith("/static/"), (path, payload)
                assert not [name for name in attributes if name.startswith("on")], (path, payload)
                assert {name for name in attributes if name.startswith("data-")} <= allowed, (path, payload)
                for name in ("href", "src", "action"):
                    assert attributes.get(name, "/")[:1] in "/#", (path, payload, attributes)


def test_the_texts_are_really_on_the_pages(app, client, hostile, texts):
    texts.set("<b>here</b>")
    without = {path for path in pages(app) if "&lt;b&gt;here&lt;/b&gt;" not in client.get(path).text}
    names_only = {path for path in without if path.startswith("/chosen")}
    assert without - names_only <= {
        "/enter",
        "/nowhere",
        "/nodes/nobody",
        "/search",
        "/settings/second-factor",
    }


@pytest.mark.needs("chromium")
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("turn", [0, 7])
async def test_no_text_runs_or_breaks_the_layout(app, served, browser, hostile, texts, turn):  # noqa: F811
    texts.set(*texts.payloads[turn:], *texts.payloads[:turn])
    page, complaints = await opened(browser, served, size=PHONE)
    for path in pages(app):
        await page.goto(served + path, wait_until="domcontentloaded")
        assert await page.evaluate("window.__hit") is None, path
        assert await page.locator("main script, main img, main iframe").count() == 0, path
        for size in (PHONE, DESK):
            await page.set_viewport_size(size)
            assert await page.evaluate(WIDE) == [], (path, size)
    assert [each for each in complaints if "404" not in each] == []
    await page.context.close()
