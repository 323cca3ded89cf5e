"""Pages as a browser without JavaScript gets them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from inventory.errors import StoreError
from web.headers import SECURITY_HEADERS

PAGES = [
    "/",
    "/sites",
    "/sites/berlin",
    "/clusters",
    "/clusters/berlin",
    "/nodes",
    "/nodes/berlin-cp-1",
    "/nodes/berlin-w-1",
    "/nodes/berlin-cp-1/facts",
    "/calendar",
    "/pending",
    "/rollouts",
    "/rollouts/e9eba3b829d781c6",
    "/rollouts/e9eba3b829d781c6/order?verb=abort",
    "/events",
    "/audit",
    "/audit?check=yes",
    "/search?q=berlin",
    "/settings",
    "/updates",
    "/updates/talos-1.13.9",
    "/settings/notifications",
    "/settings/license",
]


class Collector(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags(text):
    collector = Collector()
    collector.feed(text)
    return collector.tags


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/fleet", "/nodes/nobody", "/nowhere", "/static/live.js"])
def test_every_answer_carries_the_security_headers(client, path, rollout):
    answer = client.get(path)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", "[::1]:8180"]
)
def test_other_host_names_are_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8180", "localhost"])
def test_loopback_names_are_served(client, host):
    assert client.get("/login", headers={"Host": host}).status_code in (200, 303)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
@pytest.mark.parametrize("path", ["/", "/events", "/nodes/berlin-cp-1", "/api/v1/fleet", "/audit"])
def test_what_only_reads_can_not_be_written(client, method, path):
    answer = getattr(client, method)(path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_comes_from_elsewhere_and_nothing_is_inline(client, full, path):
    for tag, attributes in tags(client.get(path).text):
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            if name in attributes:
                assert re.match(r"[/#]", attributes[name]), (tag, attributes)
        if tag == "script":
            assert attributes.get("src", "").startswith("/static/")


def test_the_overview_shows_sites_clusters_and_nodes(client):
    page = client.get("/").text
    for text in (
        "berlin",
        "porto",
        "berlin-cp-1",
        "porto-1",
        "https://127.31.1.1:6443",
        "write the image",
        "50 %",
    ):
        assert text in page


def test_what_needs_somebody_is_named_with_the_way_out(client):
    page = client.get("/").text
    assert "run cto apply again" in page
    assert "cto node add spare" in page


def test_a_ready_node_not_seen_lately_is_not_shown_as_good(client):
    page = client.get("/").text
    row = page[page.index('id="row-berlin-cp-3"') :]
    row = row[: row.index("</tr>")]
    assert "tone-unknown" in row
    assert "tone-good" not in row
    assert "3 h ago, old" in row


def test_the_empty_fleet_says_how_to_start(client, queries):
    queries.clear()
    assert "cto demo" in client.get("/").text


def test_the_api_agrees_with_the_views(client, queries):
    fleet = client.get("/api/v1/fleet").json
    assert [node["name"] for node in fleet["nodes"]] == [view.name for view in queries.node_views]
    assert {node["name"]: node["stale"] for node in fleet["nodes"]}["berlin-cp-3"] is True
    assert fleet["last_event"] == 4
    assert client.get("/api/v1/nodes/porto-1").json["shown_as"] == "ready"


def test_events_after_a_cursor(client):
    answer = client.get("/api/v1/events?after=2").json
    assert [event["id"] for event in answer["events"]] == [4]
    assert client.get("/api/v1/events?after=nonsense").status_code == 400


def test_an_unknown_node_is_an_error_with_a_fix(client):
    answer = client.get("/api/v1/nodes/nobody")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
    assert answer.json["type"] == "urn:cto:problem:unknown-name"
    assert answer.json["fix"] == "see cto node list"
    assert "there is no node" in client.get("/nodes/nobody").text


def test_a_store_that_fails_is_a_503_and_a_bug_tells_nothing(client, queries):
    def broken():
        raise StoreError("the file is damaged", fix="cto store restore FILE")

    queries.nodes = broken
    answer = client.get("/")
    assert answer.status_code == 503
    assert "cto store restore FILE" in answer.text

    def bug():
        raise RuntimeError("secret-canary")

    queries.nodes = bug
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret-canary" not in answer.text
    assert re.search(r"id [0-9a-f]{8}", answer.text)


def test_hostile_texts_stay_text(client, queries, payloads):
    for number, payload in enumerate(payloads):
        view = queries.node_views[0]
        hostile = replace(
            view, name=payload, problem=payload, talos=payload, address=payload, role=payload, profile=payload
        )
        event = replace(
            queries.event_views[0], id=100 + number, message=payload, subject=payload, kind=payload
        )
        queries.node_views.append(hostile)
        queries.event_views.append(event)
    for path in ("/", "/events", "/nodes", "/search?q=1", "/nodes?sort=-problem", "/sites/berlin"):
        page = client.get(path)
        assert page.status_code == 200
        found = tags(page.text)
        assert [
            a for tag, a in found if tag == "script" and not a.get("src", "").startswith("/static/")
        ] == []
        assert not [
            1
            for tag, attributes in found
            if tag == "img" or "onload" in attributes or "onerror" in attributes
        ]
        assert "{{ 7 * 7 }}" in page.text or path == "/sites/berlin" or "q=1" in path
        assert not re.search(r"\b49\b", page.text.replace(client.csrf, ""))  # nobody worked it out


def test_templates_quote_attributes_and_never_switch_escaping_off():
    from pathlib import Path

    import web

    for path in (Path(web.__file__).parent / "templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"(?i)javascript:|<script(?![^>]* src=)|<style| style=| on[a-z]+=", text), (
            path.name
        )
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape false" not in text
        assert not re.search(r"=\{\{", text), f"{path.name}: an attribute without quotes"


def test_no_other_origin_is_let_in(client, full):
    for path in (*PAGES, "/api/v1/fleet", "/static/live.js"):
        for method in ("GET", "OPTIONS"):
            answer = client.open(path, method=method, headers={"Origin": "https://evil.example"})
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_every_answer_says_what_it_is(client, full):
    for path in (*PAGES, "/nowhere"):
        assert client.get(path).headers["Content-Type"] == "text/html; charset=utf-8"
    assert client.get("/api/v1/fleet").headers["Content-Type"] == "application/json"
    assert client.get("/nodes?format=csv").headers["Content-Type"] == "text/csv; charset=utf-8"
    assert client.get("/static/live.js").headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/",
        "/.git/config",
        "/static//etc/passwd",
    ],
)
def test_static_files_lead_nowhere_else(client, path):
    assert client.get(path).status_code == 404


def test_fields_for_passwords_hide_and_help(app, client):
    page = app.test_client().get("/login").text + client.get("/settings").text
    fields = [
        a for tag, a in tags(page) if tag == "input" and "password" in a.get("id", "") + a.get("type", "")
    ]
    assert len(fields) >= 4
    for field in fields:
        assert field["type"] == "password"
        assert field["autocomplete"] in ("current-password", "new-password")
        assert "onpaste" not in field


def test_what_needs_somebody_comes_with_a_command(client):
    page = client.get("/nodes/berlin-w-1").text
    assert 'data-copy="cto plan --node berlin-w-1"' in page


def test_a_large_fleet_is_shown_by_site(client, queries):
    view = queries.node_views[0]
    queries.node_views += [replace(view, name=f"n{number:03}", problem="it is off") for number in range(120)]
    page = client.get("/").text
    assert "<svg" not in page
    assert 'href="/sites/berlin"' in page
    assert "more: <a" in page
    assert len(page) < 100_000


def test_facts_show_what_changed(client, queries):
    old, new = ({"facts": {"memory": {"total": size, "ecc": None}}, "problems": []} for size in (8, 16))
    first = {"taken_at": "2026-03-01T11:57:00Z", "digest": "aa", "body": old}
    queries.facts_by_node["porto-1"] = [
        {**first, "taken_at": "2026-03-02T11:57:00Z", "digest": "bb", "body": new},
        first,
    ]
    page = client.get("/nodes/porto-1/facts").text
    assert "first snapshot" in client.get("/nodes/porto-1/facts?of=1").text
    assert "2026-03-02T11:57:00Z" in page


def test_a_disk_that_fails_is_red_and_one_that_is_silent_is_not_green():
    from facts.machine.smart import Health
    from web.machine import disk_badge

    assert disk_badge(Health("/dev/sda", passed=False)).tone == "bad"
    assert disk_badge(Health("/dev/sda", passed=None)).tone == disk_badge(None).tone == "unknown"
    assert disk_badge(Health("/dev/sda", passed=True, percentage_used=95)).tone == "warn"
    assert disk_badge(Health("/dev/sda", passed=True, media_errors=1)).tone == "warn"
    assert disk_badge(Health("/dev/sda", passed=True)).tone == "good"
