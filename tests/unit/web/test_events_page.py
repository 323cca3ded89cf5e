"""The page of events and the audit log: what their address asks for, to its end and in a file."""

import re
from html import unescape

import pytest

from web.ports import EventView

MANY = 450


@pytest.fixture
def many(queries):
    subjects = ("node/porto-1", "node/berlin-cp-1")
    queries.event_views = [
        EventView(
            n, "2026-03-01T10:00:00Z", "Rare" if n % 3 == 0 else "Usual", subjects[n % 2], f"message {n}"
        )
        for n in range(1, MANY + 1)
    ]
    return queries


def shown(client, address):
    """The numbers of all events from there to the end, along the links, and how many pages it took."""
    found, pages = [], 0
    while address:
        page = client.get(address).text
        found += [int(key) for key in re.findall(r'data-key="(\d+)"', page)]
        onward = re.search(r'rel="next" href="([^"]+)"', page)
        address, pages = unescape(onward[1]) if onward else "", pages + 1
    return found, pages


@pytest.mark.parametrize("order", ["", "oldest"])
@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", lambda n: True),
        ("subject=node/porto-1", lambda n: n % 2 == 0),
        ("kind=Rare", lambda n: n % 3 == 0),
        ("q=message+USUAL", lambda n: n % 3),
        ("kind=Rare&subject=node/porto-1&q=1", lambda n: n % 6 == 0 and "1" in f"{n}node/porto-1"),
        ("kind=Never", lambda n: False),
    ],
)
def test_a_filter_goes_to_its_end_and_into_the_file(client, many, order, query, fits):
    wanted = [n for n in range(1, MANY + 1) if fits(n)]
    wanted = wanted if order else wanted[::-1]
    found, pages = shown(client, f"/events?{query}&order={order}")
    assert found == wanted
    assert pages == max(1, -(-len(wanted) // 200))
    rows = client.get(f"/events?{query}&order={order}&format=json").json
    assert [int(row["id"]) for row in rows] == wanted


def test_what_is_asked_for_stays_in_the_form_and_in_the_links(client, many):
    page = client.get("/events?q=message&kind=Usual&subject=node/porto-1&order=oldest").text
    for part in ('value="message"', 'value="Usual"', 'value="node/porto-1"', 'value="oldest" selected'):
        assert part in page
    taken = re.search(r'href="(/events\?format=csv[^"]+)"', page)[1]
    assert "subject=node/porto-1&amp;kind=Usual&amp;q=message&amp;order=oldest" in taken
    assert "Nothing fits" in client.get("/events?kind=Never").text
    assert "Nothing has happened yet" not in client.get("/events?kind=Never").text


def test_a_search_that_stopped_says_so_and_goes_on(client, queries):
    """Twice as many as are looked through at once, and only the oldest fits."""
    queries.event_views = [
        EventView(n, "2026-03-01T10:00:00Z", "X", "controller", "needle" if n == 1 else "hay")
        for n in range(1, 40_002)
    ]
    page = client.get("/events?q=needle").text
    assert "Nothing fits so far" in page
    assert "These are from 20000 events" in page
    assert "search on" in page
    assert shown(client, "/events?q=needle") == ([1], 3)


def test_only_of_what_one_may_see(login, many):
    found, _ = shown(login("olga"), "/events?kind=Rare")
    assert found == [n for n in range(MANY, 0, -1) if n % 6 == 3]
    assert shown(login("olga"), "/events?kind=Rare&subject=node/porto-1")[0] == []


@pytest.mark.parametrize(
    "query", ["before=x", "after=-1&order=oldest", "order=sideways", "kind=%00", "q=%25"]
)
def test_nonsense_is_no_error(client, many, query):
    assert client.get(f"/events?{query}").status_code == 200


def test_the_audit_log_from_its_first_row(client, access):
    for _ in range(120):
        access._writing.run(lambda s: s.store.set_password("vera", "x", actor="test"))
    first = client.get("/audit?order=oldest").text
    seqs = [int(seq) for seq in re.findall(r'<th scope="row">(\d+)</th>', first)]
    assert seqs == list(range(1, 101))
    onward = unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
    assert onward == "/audit?order=oldest&after=100"
    second = client.get(onward).text
    assert re.findall(r'<th scope="row">(\d+)</th>', second)[0] == "101"
    rows = client.get("/audit?order=oldest&format=json").json
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    newest = client.get("/audit?format=json").json
    assert [row["seq"] for row in newest][-100:] == [row["seq"] for row in rows][:100][::-1]
