"""Pages as a browser without JavaScript gets them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from inventory.errors import StoreError
from web.app import SECURITY_HEADERS, create_app

PAGES = ["/", "/events", "/nodes/berlin-cp-1", "/nodes/berlin-w-1"]


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
def test_every_answer_carries_the_security_headers(client, path):
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
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
@pytest.mark.parametrize("path", ["/", "/events", "/nodes/berlin-cp-1", "/api/v1/fleet"])
def test_nothing_can_be_written(client, method, path):
    assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("path", PAGES)
def test_nothing_comes_from_elsewhere_and_nothing_is_inline(client, path):
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


def test_the_empty_fleet_says_how_to_start(empty_queries):
    page = create_app(empty_queries, clock=empty_queries.clock).test_client().get("/").text
    assert "cto demo" in page


def test_the_api_agrees_with_the_views(client, queries):
    fleet = client.get("/api/v1/fleet").json
    assert [node["name"] for node in fleet["nodes"]] == [view.name for view in queries.node_views]
    assert {node["name"]: node["stale"] for node in fleet["nodes"]}["berlin-cp-3"] is True
    assert fleet["last_event"] == 4
    assert client.get("/api/v1/nodes/porto-1").json["shown_as"] == "ready"


def test_events_after_a_cursor(client):
    answer = client.get("/api/v1/events?after=2").json
    assert [event["id"] for event in answer["events"]] == [4]
    assert client.get("/api/v1/events?after=nonsense").json["last"] == 4


def test_an_unknown_node_is_an_error_with_a_fix(client):
    answer = client.get("/api/v1/nodes/nobody")
    assert answer.status_code == 400
    assert answer.json["error"]["fix"] == "see cto node list"
    assert "there is no node" in client.get("/nodes/nobody").text


def test_a_store_that_fails_is_a_503_and_a_bug_tells_nothing(queries):
    def broken():
        raise StoreError("the file is damaged", fix="cto store restore FILE")

    app = create_app(queries, clock=queries.clock)
    queries.nodes = broken
    answer = app.test_client().get("/")
    assert answer.status_code == 503
    assert "cto store restore FILE" in answer.text

    def bug():
        raise RuntimeError("secret-canary")

    queries.nodes = bug
    answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert "secret-canary" not in answer.text
    assert re.search(r"id [0-9a-f]{8}", answer.text)


def test_hostile_texts_stay_text(queries, payloads):
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
    client = create_app(queries, clock=queries.clock).test_client()
    for path in ("/", "/events"):
        page = client.get(path)
        assert page.status_code == 200
        found = tags(page.text)
        assert sum(tag == "script" for tag, _ in found) == 1
        assert not [
            1
            for tag, attributes in found
            if tag == "img" or "onload" in attributes or "onerror" in attributes
        ]
        assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|49", page.text)


def test_templates_quote_attributes_and_never_switch_escaping_off():
    from pathlib import Path

    import web

    for path in (Path(web.__file__).parent / "templates").glob("*.html"):
        text = path.read_text()
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape false" not in text
        assert not re.search(r"=\{\{", text), f"{path.name}: an attribute without quotes"
