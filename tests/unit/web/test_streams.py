"""Long files: whole, in pieces, and only a few at once."""

import csv
import io
import tracemalloc

import pytest

from web.ports import EventView

MANY = 30_000


@pytest.fixture
def many(queries):
    subjects = ("node/porto-1", "node/berlin-cp-1")
    queries.event_views = [
        EventView(n, "2026-03-01T10:00:00Z", "X", subjects[n % 2], f"=cmd {n}" if n == 5 else f"message {n}")
        for n in range(1, MANY + 1)
    ]
    return queries


@pytest.mark.parametrize("form", ["csv", "json"])
def test_all_events_are_taken_away_and_not_only_a_page(client, many, form):
    answer = client.get(f"/events?format={form}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="events.{form}"'
    rows = answer.json if form == "json" else list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["id"]) for row in rows] == list(range(MANY, 0, -1))
    assert set(rows[0]) == {"id", "at", "kind", "subject", "message"}
    if form == "csv":
        assert rows[-5]["message"] == "'=cmd 5"  # no spreadsheet runs it


def test_of_one_subject_and_from_one_on(client, many):
    rows = client.get("/events?subject=node/porto-1&before=10&format=json").json
    assert [row["id"] for row in rows] == ["8", "6", "4", "2"]


@pytest.mark.parametrize("path", ["/events", "/audit"])
def test_of_nothing_there_is_an_empty_file(client, queries, path):
    queries.clear()
    search = "?subject=x&" if path == "/events" else "?q=nothing-of-that-kind&"
    assert client.get(f"{path}{search}format=json").json == []
    assert client.get(f"{path}{search}format=csv").text.count("\n") == 1


def test_only_what_the_visitor_may_see(login, many):
    rows = login("olga").get("/events?format=json").json
    assert {row["subject"] for row in rows} == {"node/berlin-cp-1"}
    assert len(rows) == MANY // 2


def test_the_file_is_not_held(client, many):
    """It is sent while it is read: in memory there are some hundred rows of it."""
    sent, tracemalloc_was = 0, tracemalloc.is_tracing()
    tracemalloc.start()
    answer = client.get("/events?format=csv", buffered=False)
    begun = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for piece in answer.response:
        sent += len(piece)
    peak = tracemalloc.get_traced_memory()[1] - begun
    if not tracemalloc_was:
        tracemalloc.stop()
    answer.close()
    assert sent > 1_000_000
    assert peak < sent


def test_a_third_at_once_is_told_to_come_again(client, many):
    """A long file keeps a thread busy that pages need."""
    first, second = (client.get("/events?format=csv", buffered=False) for _ in range(2))
    next(iter(first.response))
    refused = client.get("/audit?format=csv")
    assert refused.status_code == 409
    assert "try again in a minute" in refused.text
    assert client.get("/events", buffered=True).status_code == 200
    first.close()
    second.close()  # nothing of it was read
    assert client.head("/events?format=csv", buffered=True).status_code == 200
    assert client.get("/events?format=csv", buffered=True).status_code == 200
    assert client.get("/audit?format=csv", buffered=True).status_code == 200
