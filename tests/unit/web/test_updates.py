"""Updates and the pages of Settings that concern the installation, over a real store and the real use cases."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.app import licensing
from controller.core.license.document import License, issue, keys_of
from controller.store.notifications import receiver
from web.updates import ends, look_badge
from web.updates_port import FeedView
from web.upkeep import meters, standing_badge
from web.upkeep_port import LicenseView

HOLDER = "Acme"


# --- updates


def test_releases_say_what_lies_ready_and_what_was_withdrawn(client, news):
    page = client.get("/updates").text
    for text in ("talos-1.13.9", "lies ready", "withdrawn", "not staged", "1.35, 1.36", "Security fixes"):
        assert text in page
    assert page.index("kubernetes-1.36.4") < page.index("talos-1.13.9") < page.index("talos-1.13.8")
    assert 'href="/updates"' in client.get("/").text


def test_a_release_comes_with_its_notes_and_the_commands(client, news):
    page = client.get("/updates/talos-1.13.9").text
    assert "A kernel with the fixes of February." in page
    assert 'data-copy="cto rollout plan -f site.yaml --talos 1.13.9"' in page
    assert "cto update stage" not in page  # it lies ready
    assert "talos/1.13.9/metal-amd64.raw.zst" in page
    unstaged = client.get("/updates/kubernetes-1.36.4").text
    assert 'data-copy="cto update stage kubernetes-1.36.4"' in unstaged
    withdrawn = client.get("/updates/talos-1.13.8").text
    assert "must not be installed" in withdrawn
    assert "cto rollout plan" not in withdrawn


def test_nothing_here_installs_anything(app):
    rules = [url for url in app.url_map.iter_rules() if url.endpoint.startswith(("updates.", "upkeep."))]
    assert len(rules) == 4
    assert all(url.methods <= {"GET", "HEAD", "OPTIONS"} for url in rules)


def test_metadata_that_ends_or_ended_is_not_shown_as_good(client, login, news, queries):
    assert "ends soon" in client.get("/updates").text
    queries.now += timedelta(days=2)
    page = login("anna").get("/updates").text  # the session is over by then
    assert "too old to be believed" in page
    assert "cto update check" in page


def test_an_old_look_is_unknown_and_none_at_all_too(queries):
    feed = FeedView("https://releases.example", "stable", "2026-01-01T00:00:00Z", {"root": "nonsense"})
    assert look_badge(feed, queries.now).tone == "unknown"
    assert look_badge(replace(feed, checked_at=""), queries.now).tone == "unknown"
    assert look_badge(None, queries.now).tone == "idle"
    assert ends(feed, queries.now)[0].badge.tone == "unknown"


def test_without_a_publisher_the_page_says_how_to_trust_one(client):
    page = client.get("/updates").text
    assert "cto update trust" in page
    assert "Nothing fits yet" in page
    assert client.get("/updates/talos-1.13.9").status_code == 404


def test_proposals_are_shown_to_those_who_see_the_cluster(client, login, news):
    page = client.get("/updates").text
    assert "kubectl-edit" in page
    assert "by unknown" in page
    assert 'data-copy="cto update proposals --close 1"' in page
    other = login("olga").get("/updates").text
    assert "kubectl-edit" in other
    assert "porto" not in other


@pytest.mark.parametrize("form", ["json", "csv"])
def test_releases_are_exported(client, news, form):
    answer = client.get(f"/updates?kind=talos&sort=version&format={form}")
    names = [row["name"] for row in answer.json] if form == "json" else answer.text.split("\r\n")[1:3]
    assert [name[:12] for name in names] == ["talos-1.13.8", "talos-1.13.9"]


def test_hostile_notes_and_proposals_stay_text(client, news, payloads, access):
    from tests.unit.web.test_pages import tags

    def put(services):
        from controller.store.updates import ReleaseRow

        for payload in payloads:
            services.store.propose("berlin", {"talos": payload, payload: 1}, payload)
        body = {"format": "cto-release/v1", **news["releases"][2], "notes": "\n".join(payloads)}
        services.store.accept_feed(
            {}, [ReleaseRow("stable", "kubernetes-1.36.4", json.dumps(body), "", "")], {}
        )

    access._writing.run(put)
    for path in ("/updates", "/updates/kubernetes-1.36.4"):
        found = tags(client.get(path).text)
        assert not [1 for tag, a in found if tag == "script" and not a.get("src", "").startswith("/static/")]
        assert not [1 for tag, a in found if tag in ("img", "svg", "iframe") or "onerror" in a]


# --- notifications


def test_notifications_say_who_is_told_and_hold_no_secret(client, news, access):
    page = client.get("/settings/notifications").text
    for text in ("ops", "https://hooks.example:8443", "night@example.org", "hands, paused"):
        assert text in page
    assert "secret-canary" not in page
    assert "secret-canary" not in client.get("/settings/notifications?format=json").text
    for path in ("/audit", "/audit?format=csv", "/audit?format=json", "/events", "/api/v1/audit"):
        assert "secret-canary" not in client.get(path).text, path
    assert 'href="/settings/license"' in page


def test_who_was_not_reached_is_red_with_the_reason(client, news, access, queries):
    def fail(services):
        store = services.store
        store.note_deliveries(lambda kind: "hands" if kind == "FeedSet" else "", services.new_id)
        with store._unit() as unit:
            unit.event("FeedSet", "controller", "again")
        store.note_deliveries(lambda kind: "hands" if kind == "FeedSet" else "", services.new_id)
        for delivery in store.due_deliveries(queries.now):
            store.not_delivered(delivery, "connection refused", None)

    access._writing.run(fail)
    page = client.get("/settings/notifications").text
    assert "was not reached: connection refused" in page
    assert "not reached" in page
    assert 'data-copy="cto notify test ops"' in page


def test_only_administrators_see_who_is_told(login, news):
    for name in ("vera", "otto", "olga"):
        assert login(name).get("/settings/notifications").status_code == 403
        assert "/settings/notifications" not in login(name).get("/settings").text
    assert login("vera").get("/settings/license").status_code == 200
    assert login("olga").get("/settings/license").status_code == 403


@pytest.mark.parametrize("settings", [{}, {"url": "nonsense"}, {"url": "https://[::1"}])
def test_a_receiver_that_can_not_be_read_is_empty(settings):
    assert receiver(settings) == ""


# --- the licence


def test_without_a_licence_the_community_limits_are_shown(client):
    page = client.get("/settings/license").text
    assert "Every feature works without one" in page
    assert "0 <small>of 10</small>" in page
    assert "cto license import" in page


@pytest.mark.parametrize(
    ("days", "said", "tone"),
    [(300, "valid", "good"), (10, "ends soon", "warn"), (-5, "grace", "warn"), (-60, "ended", "bad")],
)
def test_a_licence_says_how_it_stands(client, access, queries, days, said, tone):
    seed = bytes(range(32))

    def put(services):
        end = queries.now + timedelta(days=days)
        made = License("lic_1", HOLDER, queries.now - timedelta(days=400), end, 100, None)
        import base64

        ((name, public),) = keys_of(seed).items()
        services.store.trust_license_key(name, base64.b64encode(public).decode(), actor="test")
        services.store.put_license(issue(made.payload(), seed), name="lic_1", actor="test")
        return licensing.held(services).allowance.standing

    access._writing.run(put)
    page = client.get("/settings/license").text
    assert HOLDER in page
    badge = page[page.index("<h1>") : page.index("</h1>")]
    assert said in badge
    assert f"tone-{tone}" in badge


def test_one_that_can_not_be_read_any_more_is_not_well():
    held = LicenseView("community", "", "", "", "", 10, 10, 12, 10, "signed by an unknown key", "c")
    assert standing_badge(held).tone == "bad"
    assert [each.badge.label for each in meters(held)] == ["full", "more than allowed"]
    assert meters(replace(held, nodes_allowed=None))[0].badge.tone == "good"


# --- the API


def test_the_same_over_the_api(app, bearer, news):
    client = app.test_client()

    def get(path, grant="admin"):
        return client.get(f"/api/v1{path}", headers=bearer(grant))

    assert [each["name"] for each in get("/releases").json["items"]][:2] == [
        "kubernetes-1.36.4",
        "talos-1.13.9",
    ]
    assert get("/releases/talos-1.13.9").json["state"] == "ready"
    assert get("/releases/nothing").status_code == 404
    assert get("/updates").json["proposals"][1]["wants"] == {"talos": "1.13.9", "paused": "true"}
    assert [each["cluster"] for each in get("/updates", "viewer:site=porto").json["proposals"]] == ["porto"]
    assert [each["name"] for each in get("/notifiers").json["items"]] == ["night-shift", "ops"]
    assert get("/notifiers", "operator").status_code == 403
    assert get("/license", "viewer").json["nodes_allowed"] == 10
