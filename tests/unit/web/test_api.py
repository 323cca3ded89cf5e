"""The JSON interface: what it answers, that it is what its description says, and writes that are sent twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from controller.store.rollouts import NewRollout
from web.api.openapi import LIVE
from web.api.operations import PREFIX

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


@pytest.fixture
def real(api, client, machine, rollout):
    """Path parameters that name things which are there."""
    made = api("POST", "/overrides", {"site": "berlin", "reason": "a disk is failing"}, grant="operator")
    csrf = {"X-CSRF-Token": client.csrf}
    token = client.post("/api/v1/tokens", json={"note": "x", "grant": "viewer"}, headers=csrf).json["id"]
    release = api("GET", "/releases").json["items"][0]["name"]
    by_path = {"/enrollments/": machine["id"], "/overrides/": made.json["id"], "/tokens/": token}
    by_path |= {"/nodes/": "berlin-cp-1", "/clusters/": "berlin", "/calendar/": "berlin"}
    by_path |= {"/rollouts/": rollout["id"], "/releases/": release, "/runs/": "run-1"}

    def name(path):
        return next(value for start, value in by_path.items() if start in path)

    return name


@pytest.mark.parametrize("by", ["token", "session"])
def test_the_description_holds(app, bearer, login, full, real, by):
    """Every operation with made-up parameters and bodies, half of the time on things that are there: no 5xx, no
    status, type or shape that is not described. A token may not do all of it, a session may.
    """
    token = bearer("admin", "anna")
    session = login("anna").login
    headers = token if by == "token" else {"X-CSRF-Token": session.principal.csrf}
    cookies = {} if by == "token" else {"cto": session.cookie}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app, headers=token)
    described = {(op.ok().method.upper(), op.ok().path) for op in schema.get_all_operations()}
    ours = {
        (method, url.rule.replace("<", "{").replace(">", "}"))
        for url in app.url_map.iter_rules()
        if url.rule.startswith(PREFIX) and not url.rule.endswith("/openapi.json")
        for method in url.methods - {"HEAD", "OPTIONS"}
    }
    assert described - ours == {("GET", LIVE)}  # which Flask does not answer: the test of the stream does
    assert ours <= described
    for found in schema.get_all_operations():
        if found.ok().path == LIVE:
            continue
        strategy = found.ok().as_strategy()

        @settings(
            max_examples=8,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=strategy, there=st.booleans())
        def one(case, there):
            if there and case.path_parameters:
                case.path_parameters = dict.fromkeys(case.path_parameters, real(case.path))
            made_up = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
            case.headers, case.cookies = {**made_up, **headers}, cookies
            checks = [check for check in CHECKS if not (there and check is negative_data_rejection)]
            answer = case.call_and_validate(checks=checks)
            assert answer.status_code != 401

        one()


def test_every_order_of_the_api_can_be_carried_out(app, api, full, machine, rollout, client):
    """Beside what is made up: each write with what it is for. A new one is missed here."""
    made = api("POST", "/overrides", {"site": "berlin", "reason": "a disk is failing"}).json["id"]
    csrf = {"X-CSRF-Token": client.csrf}
    token = client.post("/api/v1/tokens", json={"note": "x", "grant": "viewer"}, headers=csrf)
    reason = {"reason": "a good reason"}
    done = {
        "create_token": token.status_code,
        "override": 201,
        "approve": api("POST", f"/overrides/{made}/approval").status_code,  # 409: the same person
        "cancel": api("POST", f"/overrides/{made}/cancellation", reason).status_code,
        "freeze": api("POST", "/freezes", {**reason, "site": "berlin"}).status_code,
        "unfreeze": api("POST", "/freezes/lift", {**reason, "site": "berlin"}).status_code,
        "order_rollout": api(
            "POST", f"/rollouts/{rollout['id']}/orders", {**reason, "verb": "pause"}
        ).status_code,
        "reject_enrollment": api("POST", f"/enrollments/{machine['id']}/rejection", reason).status_code,
        "approve_enrollment": api(
            "POST", f"/enrollments/{machine['id']}/approval", {"words": machine["words"]}
        ).status_code,  # 400: it was rejected
        "revoke_token": api("DELETE", f"/tokens/{token.json['id']}").status_code,
        "open_enrollment": api("POST", "/enrollment-window", {"interface": "127.0.0.1"}).status_code,
        "close_enrollment": api("DELETE", "/enrollment-window").status_code,
    }
    described = api("GET", "/openapi.json").json["paths"]
    writes = {op["operationId"] for path in described.values() for name, op in path.items() if name != "get"}
    assert done.keys() == writes
    assert {name: code for name, code in done.items() if code not in (200, 201, 202)} == {
        "approve": 409,
        "approve_enrollment": 400,
    }


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


def pages(api, path, size=1):
    """Everything that a list holds, page by page."""
    items, cursor = [], ""
    while True:
        page = api("GET", f"{path}{'&' if '?' in path else '?'}limit={size}&cursor={cursor}")
        assert page.status_code == 200, page.text
        assert len(page.json["items"]) <= size
        items += page.json["items"]
        cursor = page.json["next"]
        if not cursor:
            return items


@pytest.fixture
def several(access, full, rollout, client, queries, put_machine):
    """More than one of everything that comes in pages."""
    head = {"actor": "test", "reason": "another one", "status": "succeeded", "head": "{}", "summary": {}}
    for number in range(4):  # of one instant
        parts = (("berlin", "berlin", json.dumps({**rollout["clusters"][0], "site": "berlin"})),)
        if number == 2:
            parts += (("porto", "porto", json.dumps({**rollout["clusters"][0], "site": "porto"})),)
        new = NewRollout(id=f"another-{number}", clusters=parts, facts={}, **head)
        access._writing.run(lambda s, new=new: s.store.create_rollout(new))
    csrf = {"X-CSRF-Token": client.csrf}
    for number in range(3):
        client.post("/api/v1/tokens", json={"note": f"n{number}", "grant": "viewer"}, headers=csrf)
    queries.run_views = [replace(queries.run_views[0], id=f"run-{number}") for number in range(9, 0, -1)]
    for number in range(3):
        put_machine(f"0000000{number}", state="rejected" if number else "pending")
    return rollout


@pytest.mark.parametrize(
    "path",
    [
        "/runs",
        "/rollouts",
        "/rollouts/{rollout}/clusters",
        "/enrollments",
        "/enrollments?state=rejected",
        "/releases",
        "/tokens",
        "/accounts",
        "/notifiers",
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_every_list_goes_on_to_its_end(api, several, path, size):
    path = path.format(rollout=several["id"])
    whole = api("GET", f"{path}{'&' if '?' in path else '?'}limit=500").json
    assert whole["next"] == ""
    assert len(whole["items"]) > 1
    assert unused(pages(api, path, size)) == unused(whole["items"])


def unused(items):
    """Without the time at which the token that asks was used last: it is noted a little later."""
    return [{name: value for name, value in each.items() if name != "used_at"} for each in items]


@pytest.mark.parametrize("path", ["/runs", "/rollouts", "/enrollments", "/releases", "/tokens"])
def test_a_cursor_that_names_nothing_is_an_error(api, several, path):
    answer = api("GET", f"{path}?cursor=nothing")
    assert answer.status_code in (400, 404)
    assert "nothing" in answer.json["title"]


def test_pages_hold_only_what_one_may_see(api, several):
    """However many others lie between, and a cursor that names one of these is of none."""
    found = api("GET", "/rollouts?limit=2", grant="viewer:site=berlin").json
    assert [each["id"] for each in found["items"]] == ["another-3", "another-1"]
    rest = api("GET", f"/rollouts?limit=2&cursor={found['next']}", grant="viewer:site=berlin").json
    assert ([each["id"] for each in rest["items"]], rest["next"]) == (["another-0"], "")
    for name in ("another-2", several["id"], "nothing"):
        answer = api("GET", f"/rollouts?cursor={name}", grant="viewer:site=berlin")
        assert (answer.status_code, answer.json["title"]) == (404, f"there is no rollout {name!r}")


def test_the_stream_is_described_as_it_is(api):
    told = api("GET", "/openapi.json").json["paths"]["/api/v1/live"]["get"]
    assert told["responses"]["200"]["content"].keys() == {"text/event-stream"}
    assert "Last-Event-ID" in told["description"]


def test_audit_rows_from_the_oldest_on(api):
    first = api("GET", "/audit?oldest=true&limit=2").json
    assert [row["seq"] for row in first] == [1, 2]
    assert api("GET", "/audit?oldest=true&limit=1&after=2").json[0]["seq"] == 3


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


def test_a_parameter_that_is_given_twice_is_refused(api):
    answer = api("GET", "/events?after=1&after=3")
    assert answer.status_code == 400
    assert "2 times" in answer.json["title"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1",
        b'{"reason": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
        b'{"reason": "good reason", "reason": "another"}',
    ],
)
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


def test_a_secret_answer_is_not_kept_for_its_key(app, login, web_home):
    client = login("anna")
    headers = {"X-CSRF-Token": client.csrf, "Idempotency-Key": "token-number-1"}
    order = {"note": "x", "grant": "viewer"}
    made = client.post("/api/v1/tokens", json=order, headers=headers)
    assert made.status_code == 201
    again = client.post("/api/v1/tokens", json=order, headers=headers)
    assert again.status_code == 409
    assert "kept nowhere" in again.text
    assert len(client.get("/api/v1/tokens").json["items"]) == 1
    kept = web_home.database.read_bytes() + Path(f"{web_home.database}-wal").read_bytes()
    assert made.json["token"].encode() not in kept


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
    queries.cluster_views = [
        replace(each, expires={"admin": "2026-04-01T00:00:00Z"}, snapshot_problem="the disk is full")
        for each in queries.cluster_views
    ]
    lines = app.test_client().get("/metrics", headers=bearer("viewer")).text.splitlines()
    assert 'cto_expiry_timestamp_seconds{cluster="berlin",site="berlin",what="admin"} 1775001600.0' in lines
    assert 'cto_cluster_snapshot_failed{cluster="berlin",site="berlin"} 1' in lines
    assert queries.now == datetime(2026, 3, 2, 12, tzinfo=UTC)
