"""Machines that ask to join, as the page shows them: the window, the words, conflicts, floods, choices."""

import json
from datetime import timedelta

import pytest

from tests.unit.web.test_pages import tags


def act(access, do):
    return access._writing.run(lambda services: do(services.store))


def open_window(access, queries, minutes=90):
    until = queries.now + timedelta(minutes=minutes)
    act(access, lambda s: s.open_enrollment(until=until, interfaces=["eth0"], port=7443, actor="test"))


def change(access, machine, **values):
    """As the protocol writes a row."""
    sets = ", ".join(f"{name} = ?" for name in values)
    act(
        access,
        lambda s: s._connection.execute(
            f"UPDATE enrollments SET {sets} WHERE id = ?", [*values.values(), machine["id"]]
        ),
    )


def test_a_closed_window_comes_with_the_command_that_opens_it(client):
    page = client.get("/pending").text
    assert "closed" in page
    assert 'data-copy="cto enroll open --for 60m"' in page


def test_an_open_window_says_how_long_and_where_and_who_else_is_there(client, access, queries):
    open_window(access, queries)
    page = client.get("/pending").text
    assert "for 1 h 30 min more" in page
    assert "Nobody listens" in page  # no engine runs here
    act(access, lambda s: s.note_listener(pid=1, endpoints=["10.0.0.5:7443"], problem=""))
    act(access, lambda s: s.note_rivals(["other at 10.0.0.66"]))
    page = client.get("/pending").text
    assert "10.0.0.5:7443" in page
    assert "Nobody listens" not in page
    assert "other at 10.0.0.66" in page
    assert 'data-copy="cto enroll close"' in page
    queries.now += timedelta(minutes=14)  # within the session
    open_window(access, queries, minutes=-1)
    assert "cto enroll open" in client.get("/pending").text


def test_six_words_stand_alone_and_the_rest_is_a_claim(client, machine):
    page = client.get("/pending").text
    for word in machine["words"].split()[1:]:
        assert f"<li>{word}</li>" in page
    assert "<li>ENROLL</li>" not in page
    assert "a claim, no proof" in page
    assert f'href="/pending?see={machine["id"]}#waiting-{machine["id"]}"' in page


def test_nodes_without_a_machine_are_offered_and_those_elsewhere_are_not(client, machine, queries):
    from dataclasses import replace

    one = queries.node_views[0]
    queries.node_views += [
        replace(one, name="berlin-w-8", site="berlin", role="worker", state="declared"),
        replace(one, name="berlin-w-7", site="berlin", role="worker", state="ready"),
        replace(one, name="porto-w-1", site="porto", role="worker", state="declared"),
    ]
    page = client.get("/pending").text
    page = page[page.index("<datalist") : page.index("</datalist>")]
    offered = [a["value"] for tag, a in tags(page) if tag == "option" and a["value"].startswith(("b", "p"))]
    assert offered == ["berlin-w-8"]


def test_a_machine_in_conflict_needs_a_second_tick(client, machine, access, opened):
    change(access, machine, conflict="two machines say they are S-1")
    page = client.get("/pending").text
    assert "two machines say they are S-1" in page
    assert page.count("in conflict") >= 2
    data = {"csrf": client.csrf, "id": machine["id"], "compared": "yes"}
    assert client.post("/pending/approve", data=data).status_code == 409
    assert client.post("/pending/approve", data={**data, "accept_conflict": "yes"}).status_code == 303
    with opened() as services:
        assert services.store.enrollment(machine["id"]).state == "approved"


def test_floods_are_shown_with_what_to_do(client, login, access):
    act(
        access,
        lambda s: s.refuse_enrollment(
            reason="flood",
            address="10.0.0.99",
            token="",
            what="it came too often",
            fix="look for it",
            times=40,
        ),
    )
    page = client.get("/pending").text
    for text in ("it came too often", "10.0.0.99", "40 times", "look for it"):
        assert text in page
    assert "10.0.0.99" not in login("olga").get("/pending").text


def test_hostile_claims_stay_text(client, machine, access, payloads):
    for payload in payloads:
        hardware = json.dumps({"serial": payload, payload: payload})
        change(access, machine, claimed=payload, conflict=payload, hardware=hardware)
        found = tags(client.get("/pending").text)
        assert not [1 for tag, a in found if tag == "script" and not a.get("src", "").startswith("/static/")]
        assert not [1 for tag, a in found if tag in ("img", "svg", "iframe") or "onerror" in a]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_enrolments_are_exported(client, machine, form):
    answer = client.get(f"/pending?state=pending&format={form}")
    assert machine["id"] in answer.text
    assert "ssh-ed25519" not in answer.text
