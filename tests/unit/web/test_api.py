"""The JSON interface: what it answers, that it is what its description says, and writes that are sent twice."""

import json
from datetime import UTC, datetime

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture
def api(app, bearer):
    """`api("GET", "/nodes", grant="viewer")` → the answer to a program with such a token."""
    client, tokens = app.test_client(), {}

    def call(method, path, body=None, *, grant="admin", **headers):
        tokens[grant] = tokens.get(grant) or bearer(grant)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(f"/api/v1{path}", method=method, json=body, headers={**tokens[grant], **named})

    return call


# --- the description


def test_the_description_holds(app, bearer, full):
    """Every operation with made-up parameters and bodies: no 5xx, no status, type or shape that is not described."""
    token = bearer("admin")
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app, headers=token)
    seen = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        seen += 1

        @settings(
            max_examples=8,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy())
        def one(case):
            case.headers = {**(case.headers or {}), **token}
            case.call_and_validate(checks=CHECKS)

        one()
    assert seen >= 31


def test_the_description_is_openapi_3_1(api):
    found = api("GET", "/openapi.json").json
    assert found["openapi"] == "3.1.0"
    assert {"/api/v1/nodes/{name}", "/api/v1/overrides/{id_}/approval"} <= set(found["paths"])
    text = json.dumps(found)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in found["components"]["schemas"], name
    ids = [op["operationId"] for path in found["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids))
    assert all(op["summary"] for path in found["paths"].values() for op in path.values())


# --- pages of lists


def test_a_list_comes_in_pages_and_leaves_nothing_out(api):
    names, cursor = [], ""
    while True:
        page = api("GET", f"/nodes?limit=2&cursor={cursor}").json
        names += [node["name"] for node in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert names == ["berlin-cp-1", "berlin-cp-2", "berlin-cp-3", "berlin-w-1", "porto-1", "spare"]


def test_filters_of_nodes(api):
    assert [n["name"] for n in api("GET", "/nodes?site=porto").json["items"]] == ["porto-1"]
    assert api("GET", "/nodes?cluster=nothing").json == {"items": [], "next": ""}


@pytest.mark.parametrize(
    "path",
    [
        "/nodes?limit=0",
        "/nodes?limit=501",
        "/nodes?colour=red",
        "/events?after=-1",
        "/calendar/berlin?first=x&days=1",
    ],
)
def test_what_is_not_described_is_an_error_that_names_it(api, windows, path):
    answer = api("GET", path)
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert "openapi.json" in answer.json["fix"]


@pytest.mark.parametrize("body", [b"{", b"[1", b'{"reason": NaN}', b"[" * 100_000, b"\xff\xfe", b""])
def test_a_body_that_is_no_json(app, bearer, body):
    headers = {**bearer("admin"), "Content-Type": "application/json"}
    answer = app.test_client().post("/api/v1/freezes", data=body, headers=headers)
    assert answer.status_code == 400


def test_a_body_of_another_kind_or_size(app, bearer):
    client, headers = app.test_client(), bearer("admin")
    assert client.post("/api/v1/freezes", data="a=b", headers=headers).status_code == 415
    large = {"reason": "x" * 2_000_000}
    assert client.post("/api/v1/freezes", json=large, headers=headers).status_code == 413


def test_facts_audit_and_runs(api):
    assert [each["digest"] for each in api("GET", "/nodes/berlin-cp-1/facts").json] == ["aa", "bb"]
    rows = api("GET", "/audit?limit=3&search=account").json
    assert [row["action"] for row in rows] == ["add account"] * 0 + [row["action"] for row in rows]
    assert len(rows) == 3
    assert rows[0]["seq"] > rows[1]["seq"] > rows[2]["seq"]
    assert api("GET", f"/audit?before={rows[2]['seq']}&limit=1").json[0]["seq"] < rows[2]["seq"]
    check = api("GET", "/audit/check").json
    assert check["ok"]
    assert check["rows"] >= rows[0]["seq"]
    assert api("GET", "/audit/check", grant="operator:site=berlin").status_code == 403


@pytest.mark.parametrize("search", ["%", "_", "!", "' OR 1=1 --", "100%!"])
def test_a_search_is_text_and_no_pattern(api, search):
    assert api("GET", f"/audit?search={search.replace('%', '%25')}").json == []


# --- writes


def test_a_write_with_a_key_is_done_once(api, windows, opened):
    order = {"reason": "audit week", "site": "berlin"}
    first = api("POST", "/freezes", order, Idempotency_Key="key-number-1")
    again = api("POST", "/freezes", order, Idempotency_Key="key-number-1")
    assert first.status_code == again.status_code == 201
    assert first.data == again.data
    with opened() as services:
        assert len(services.store.freezes()) == 1
    other = api("POST", "/freezes", {**order, "reason": "another reason"}, Idempotency_Key="key-number-1")
    assert other.status_code == 409
    assert api("POST", "/freezes", order, Idempotency_Key="short").status_code == 400
    api("POST", "/freezes", order)
    with opened() as services:
        assert len(services.store.freezes()) == 2


def test_a_write_that_failed_may_be_tried_again(api, windows):
    order = {"reason": "audit week", "site": "berlin", "until": "2020-01-01T00:00:00Z"}
    assert api("POST", "/freezes", order, Idempotency_Key="key-number-2").status_code == 400
    order["until"] = "2026-03-09T00:00:00Z"
    assert api("POST", "/freezes", order, Idempotency_Key="key-number-2").status_code == 201


def test_the_same_write_under_way_twice_is_done_once(access, login):
    who = login("anna").login.principal
    assert access.reply(who, "key-number-3", "digest") is None
    with pytest.raises(Exception, match="under way"):
        access.reply(who, "key-number-3", "digest")


def test_a_browser_may_use_it_with_its_token(client, windows):
    order = {"reason": "audit week"}
    assert client.post("/api/v1/freezes", json=order).status_code == 403
    headers = {"X-CSRF-Token": client.csrf}
    assert client.post("/api/v1/freezes", json=order, headers=headers).status_code == 201


# --- the calendar


def test_windows_say_what_blackouts_take(api, windows):
    found = api("GET", "/calendar/berlin?first=2026-03-07&days=9").json
    assert [(each["day"], each["status"]) for each in found] == [
        ("2026-03-07", "skipped"),
        ("2026-03-08", "skipped"),
        ("2026-03-14", "open"),
        ("2026-03-15", "open"),
    ]
    assert "trade fair" in found[0]["why"]
    assert found[2]["local"] == "02:00-05:00"
    tokyo = api("GET", "/calendar/berlin?first=2026-03-14&days=1&zone=Asia/Tokyo").json
    assert tokyo[0]["local"] == "10:00-13:00"
    assert api("GET", "/calendar/berlin?first=2026-03-14&zone=Mars/Base").status_code == 400
    assert api("GET", "/calendar/berlin?first=9999-12-30&days=300").status_code == 400


def test_an_override_needs_a_second_person(api, windows, queries):
    """Otto and anna can agree; olga asks."""
    order = {"site": "berlin", "reason": "a disk is failing", "minutes": 60}
    made = api("POST", "/overrides", order)
    assert made.status_code == 201
    assert made.json["agreed"] is False
    id_ = made.json["id"]
    refused = api("POST", f"/overrides/{id_}/approval")
    assert refused.status_code == 409  # the same person
    assert "second person" in refused.json["title"]
    assert (
        api("POST", f"/overrides/{id_}/cancellation", {"reason": "not needed after all"}).json["overrides"]
        == []
    )
    assert api("POST", f"/overrides/{id_}/approval").status_code == 404


def test_two_tokens_of_one_person_are_one_person(app, bearer, windows):
    client = app.test_client()
    order = {"site": "berlin", "reason": "a disk is failing"}
    id_ = client.post("/api/v1/overrides", json=order, headers=bearer("operator", "otto")).json["id"]
    path = f"/api/v1/overrides/{id_}/approval"
    assert client.post(path, headers=bearer("operator", "otto")).status_code == 409
    state = client.post(path, headers=bearer("operator", "anna")).json
    assert state["overrides"][0]["approved_by"] == "user:anna"
    assert next(each for each in state["sites"] if each["site"] == "berlin")["open"] is True


# --- metrics


def test_metrics_can_be_read_by_prometheus(app, bearer, queries):
    queries.change("porto-1", site='por"to\n\\x')
    answer = app.test_client().get("/metrics", headers=bearer("viewer"))
    assert answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    assert 'cto_nodes{site="berlin",tone="unknown"} 1' in lines
    assert 'cto_nodes_in_state{site="por\\"to\\n\\\\x",state="ready"} 1' in lines
    for line in lines:
        assert line.startswith("#") or float(line.rsplit(" ", 1)[1]) >= 0
    assert app.test_client().get("/metrics", headers=bearer("viewer:site=berlin")).status_code == 403
    assert queries.now == datetime(2026, 3, 2, 12, tzinfo=UTC)
