"""Lists: what the address asks for, and what is taken away as a file."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.lists import to_csv


def names(page):
    import re

    return re.findall(r'<th scope="row">(?:<label.*?</label> )?<a href="/nodes/[^"]+">([^<]+)</a>', page.text)


def test_filter_sort_and_choice_are_in_the_address(client):
    assert names(client.get("/nodes?q=berlin+cp")) == ["berlin-cp-1", "berlin-cp-2", "berlin-cp-3"]
    assert names(client.get("/nodes?sort=-node"))[0] == "spare"
    assert names(client.get("/nodes?role=worker")) == ["berlin-w-1"]
    page = client.get("/nodes?site=berlin&sort=node")
    assert 'href="/nodes?site=berlin&amp;sort=-node"' in page.text
    assert 'aria-sort="ascending"' in page.text
    assert '<option value="berlin" selected>' in page.text


def test_pages_of_a_long_list(client, queries):
    from dataclasses import replace

    view = queries.node_views[0]
    queries.node_views += [replace(view, name=f"n{number:03}") for number in range(120)]
    first, last = client.get("/nodes?q=n0"), client.get("/nodes?q=n0&page=2")
    assert len(names(first)) == 50
    assert 'href="/nodes?q=n0&amp;page=2"' in first.text
    assert names(last)[-1] == "n099"
    assert names(client.get("/nodes?page=99999")) == names(client.get("/nodes?page=3"))


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "page=٣", "sort=nothing", "site=nowhere", "q=%00"]
)
def test_nonsense_in_the_address_is_no_error(client, query):
    assert client.get(f"/nodes?{query}").status_code == 200


def test_nothing_fits_says_so(client):
    page = client.get("/nodes?q=nothing-like-this")
    assert "Nothing fits" in page.text
    assert "show all 6" in page.text


@pytest.mark.parametrize("path", ["/nodes", "/sites", "/clusters", "/events", "/audit", "/calendar"])
def test_every_list_can_be_taken_away(client, windows, path):
    saved = client.get(f"{path}?format=csv")
    assert saved.mimetype == "text/csv"
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=")
    rows = list(csv.DictReader(io.StringIO(saved.text)))
    as_json = client.get(f"{path}?format=json").json
    assert len(rows) == len(as_json) > 0
    assert list(rows[0]) == list(as_json[0])


def test_the_file_is_filtered_as_the_page_is(client):
    saved = client.get("/nodes?q=porto&format=json").json
    assert [row["node"] for row in saved] == ["porto-1"]


def test_only_what_one_may_see_is_taken_away(login):
    assert "porto" not in login("olga").get("/nodes?format=csv").text


@given(st.text())
def test_a_formula_is_text(cell):
    (row,) = list(csv.reader(io.StringIO(to_csv(["x"], [[cell]]), newline="")))[1:] or [[""]]
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r")) if row else cell == ""
