"""Events of everything, of one subject and of many: in order, or the newest first."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from controller.store import Store, StoreQueries, events_read
from web.events_port import EventSearch

SUBJECTS = ("node/a", "node/b", "cluster/c", "controller")


@pytest.fixture
def queries(engine: Store) -> Iterator[StoreQueries]:
    for number in range(40):
        engine.event("X", SUBJECTS[number % 4], f"message {number}", {"n": number})
    with StoreQueries(engine.home) as made:
        yield made


def test_the_newest_first_page_by_page(queries: StoreQueries) -> None:
    every = [event.id for event in queries.events(0, 1000)]
    found: list[int] = []
    before = 0
    while page := queries.recent_events(7, before):
        found += [event.id for event in page]
        before = found[-1]
    assert found == every[::-1]


def test_of_one_subject(queries: StoreQueries) -> None:
    found = queries.recent_events(3, 0, "node/b")
    assert [(event.message, event.data) for event in found] == [
        (f"message {number}", {"n": number}) for number in (37, 33, 29)
    ]
    assert queries.recent_events(3, 0, "node/of-nobody") == ()


@pytest.mark.parametrize("near", [1, 10, 5000])  # by looking through the newest, by the index, by both
@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize(
    "chosen", [(), ("node/a",), ("node/a", "cluster/c"), SUBJECTS, ("node/a", "no/body")]
)
def test_of_many(queries: StoreQueries, near: int, newest: bool, chosen: tuple[str, ...]) -> None:
    every = [event for event in queries.events(0, 1000) if event.subject in chosen]
    span = {"after": every[1].id, "before": every[-1].id} if every else {"after": 0, "before": 0}
    wanted = every[2:-1][::-1] if newest else every[2:-1]
    found = events_read.events(queries.rows, subjects=chosen, limit=5, newest=newest, near=near, **span)
    assert list(found) == wanted[:5]
    assert len(queries.events_among(chosen, limit=1000, newest=newest)) == len(every)


def every_page(queries: StoreQueries, asked: EventSearch, subjects: list[str] | None, most: int) -> list[int]:
    found: list[int] = []
    while True:
        page = events_read.search(queries.rows, asked, subjects, most=most)
        assert len(page.events) <= asked.limit
        assert page.looked in ((0, most) if page.next else (0,))
        found += [event.id for event in page.events]
        if not page.next:
            return found
        asked = replace(asked, start=page.next)


@pytest.mark.parametrize("most", [1, 3, 10, 40, 20_000])
@pytest.mark.parametrize("oldest", [True, False])
@pytest.mark.parametrize("subjects", [None, ["node/b"], ["cluster/c", "node/a"], [], ["no/body"]])
@pytest.mark.parametrize(
    ("kind", "text"), [("", ""), ("Y", ""), ("", "message 1"), ("Y", "3 NODE"), ("Z", "")]
)
def test_a_search_goes_on_to_its_end(
    engine: Store,
    queries: StoreQueries,
    most: int,
    oldest: bool,
    subjects: list[str] | None,
    kind: str,
    text: str,
) -> None:
    """Nothing twice and nothing left out, wherever it stops to be asked to go on."""
    for number in range(20):
        engine.event("Y", SUBJECTS[number % 3], f"message {number}", {})
    words = text.lower().split()
    wanted = [
        event.id
        for event in queries.events(0, 1000)
        if (subjects is None or event.subject in subjects)
        and kind in ("", event.kind)
        and all(word in f"{event.kind} {event.subject} {event.message}".lower() for word in words)
    ]
    asked = EventSearch(kind, text, 0, 3, oldest)
    assert every_page(queries, asked, subjects, most) == (wanted if oldest else wanted[::-1])


@pytest.mark.parametrize("text", ["%", "_", "!", "100%!", "' OR 1=1 --"])
def test_words_are_text_and_no_pattern(queries: StoreQueries, text: str) -> None:
    assert not queries.search_events(EventSearch(text=text), None).events


@pytest.mark.parametrize(
    ("asked", "subjects", "index"),
    [
        (EventSearch(kind="X"), None, "events_of_kind (kind=? AND id>? AND id<?)"),
        (EventSearch(kind="X"), ["node/a", "node/b"], "events_of_kind (kind=? AND id>? AND id<?)"),
        (EventSearch(text="m"), ["node/a"], "events_of_subject (subject=? AND id>? AND id<?)"),
        (EventSearch(text="m"), None, "PRIMARY KEY (rowid>? AND rowid<?)"),
        (EventSearch(kind="X", text="m", oldest=True), None, "events_of_kind (kind=? AND id>? AND id<?)"),
    ],
)
def test_a_search_walks_along_an_index(
    queries: StoreQueries, asked: EventSearch, subjects: list[str] | None, index: str
) -> None:
    plans: list[str] = []

    def rows(sql: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        plans.append("; ".join(row["detail"] for row in queries.rows(f"EXPLAIN QUERY PLAN {sql}", values)))
        return queries.rows(sql, values)

    events_read.search(rows, asked, subjects)
    assert len(plans) == 2
    for plan in plans:
        assert index in plan
        assert "TEMP B-TREE" not in plan
