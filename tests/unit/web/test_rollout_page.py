"""The picture of a rollout, what an order says before it is given, and whom it is allowed."""

import json
from dataclasses import replace

import pytest

from controller.store.rollouts import NewRollout
from web.present import lasts
from web.wave_picture import NAMED, cluster_badge, draw_waves, fraction


def keep(access, made, **changes):
    """Saves a rollout as the engine does."""
    made = {**made, **changes}
    new = NewRollout(
        id=made["id"],
        actor=made.get("actor", "local:ada"),
        reason=made["reason"],
        status=made.get("status", "running"),
        head="{}",
        summary=made["summary"],
        clusters=tuple((each["name"], each["site"], json.dumps(each)) for each in made["clusters"]),
        facts=made["facts"],
    )
    access._writing.run(lambda s: s.store.create_rollout(new))
    return made


@pytest.fixture
def waits(access, rollout):
    """A second one, at Berlin only, whose second wave waits for approval."""
    waves = [dict(each) for each in rollout["summary"]["waves"]]
    waves[1]["state"] = "approval"
    berlin = [rollout["clusters"][0], {**rollout["clusters"][0], "name": "berlin-2", "wave": 1}]
    summary = {**rollout["summary"], "waves": waves, "hands": [], "waits": []}
    left_out = {"porto": "its window is closed for good", "berlin": "no"}
    return keep(
        access,
        rollout,
        id="aaaa000011112222",
        summary=summary,
        clusters=berlin,
        facts={**rollout["facts"], "left_out": left_out},
    )


def path_of(made):
    return f"/rollouts/{made['id']}"


# --- the picture


def clusters_of(rollout, number):
    """As the store gives them."""
    one = {**rollout["clusters"][0], "hop": 1}
    return [{**one, "name": f"c{n:03}", "wave": n % 2 + 1} for n in range(number)]


def test_a_few_clusters_have_their_names_and_many_a_symbol(rollout):
    waves = rollout["summary"]["waves"]
    few = draw_waves(waves, clusters_of(rollout, NAMED * 2))
    assert few.named
    many = draw_waves(waves, clusters_of(rollout, 1_000))
    assert not many.named
    assert [len(column.cells) + column.more for column in many.columns] == [500, 500]
    assert many.columns[0].more > 0
    assert many.width < 1_000
    for picture in (few, many, draw_waves(waves, []), draw_waves([], [])):
        cells = [cell for column in picture.columns for cell in column.cells]
        assert len({(cell.x, cell.y) for cell in cells}) == len(cells)
        for cell in cells:
            assert 0 <= cell.x <= picture.width - picture.cell_width
            assert 0 <= cell.y <= picture.height - picture.cell_height


@pytest.mark.parametrize(
    ("changes", "stage", "said"),
    [
        ({}, "committed", ("good", "done")),
        ({"phase": "running"}, "installing", ("busy", "running")),
        ({"phase": "running", "waits": "its window is closed"}, "planned", ("warn", "waits")),
        ({"phase": "running"}, "needs-hands", ("bad", "needs hands")),
        ({"phase": "failed"}, "failed", ("bad", "failed")),
        ({"red": "a node is not ready"}, "committed", ("bad", "not well")),
        ({"phase": "failed"}, "rolled-back", ("bad", "failed")),
        ({"phase": "cancelled"}, "planned", ("idle", "left out")),
        ({"phase": "pending"}, "planned", ("idle", "not begun")),
    ],
)
def test_a_cluster_is_shown_as_the_worst_that_is_true(rollout, changes, stage, said):
    one = rollout["clusters"][0]
    badge = cluster_badge({**one, **changes, "nodes": [{**one["nodes"][0], "stage": stage}]})
    assert (badge.tone, badge.label) == said


def test_how_far_a_cluster_is_counts_every_hop(rollout):
    one = {**rollout["clusters"][0], "phase": "running", "hop": 2, "hops": [{}, {}]}
    half = {**one, "nodes": [{**one["nodes"][0], "stage": "planned"}]}
    assert fraction(half) == 0.5
    assert fraction({**half, "nodes": []}) == 0.0
    assert fraction({**half, "phase": "succeeded"}) == 1.0


def test_the_page_draws_waves_and_says_when_it_should_be_done(client, rollout):
    page = client.get(path_of(rollout)).text
    assert 'aria-label="porto, wave 2, needs hands"' in page
    assert 'aria-label="berlin, wave 1, done"' in page
    assert "2026-03-02 12:21 UTC at the earliest" in page
    assert "21 min of work" in page
    one = client.get(f"{path_of(rollout)}?cluster=porto").text
    assert "/nodes/porto-1" in one
    assert "/nodes/berlin-cp-1" not in one


@pytest.mark.parametrize("form", ["csv", "json"])
def test_the_nodes_of_a_rollout_are_exported(client, rollout, form):
    answer = client.get(f"{path_of(rollout)}?wave=2&format={form}")
    if form == "json":
        assert [(each["node"], each["stage"]) for each in answer.json] == [("porto-1", "needs-hands")]
    else:
        assert answer.text.splitlines()[1].startswith("porto-1,porto,porto,2,needs-hands")


def test_hostile_texts_in_a_rollout_stay_text(client, access, rollout, payloads):
    from tests.unit.web.test_pages import tags

    one = rollout["clusters"][1]
    clusters = [
        {**one, "name": f"{n}{text}", "reason": text, "waits": text, "red": text, "nodes": [
            {**one["nodes"][0], "name": f"{n}{text}", "reason": text, "talos": text}]}
        for n, text in enumerate(payloads)
    ]  # fmt: skip
    summary = {
        **rollout["summary"],
        "why": payloads[0],
        "waits": [{"subject": text, "because": text} for text in payloads],
        "hands": [{"node": text, "do": text} for text in payloads],
        "failed": [{"cluster": text, "outcome": text, "reason": text} for text in payloads],
    }
    made = keep(access, rollout, id="bbbb", reason=payloads[0], summary=summary, clusters=clusters)
    answer = client.get(path_of(made))
    assert answer.status_code == 200
    found = tags(answer.text)
    assert not [1 for tag, a in found if tag == "script" and not a.get("src", "").startswith("/static/")]
    assert not [1 for tag, a in found if tag in ("img", "iframe") or "onload" in a or "onerror" in a]


def test_the_page_of_a_large_rollout_stays_small(client, access, rollout):
    """200 clusters of 50 nodes; those that are at work come with their nodes as far as there is room."""
    one = rollout["clusters"][1]
    nodes = [
        {**one["nodes"][0], "name": f"site-with-a-name-{n:02}", "stage": "installing"} for n in range(50)
    ]
    clusters = [{**one, "name": f"cluster-{n:03}", "wave": n % 4, "nodes": nodes} for n in range(200)]
    waves = [{**rollout["summary"]["waves"][1], "number": n} for n in range(1, 5)]
    made = keep(access, rollout, id="cccc", clusters=clusters, summary={**rollout["summary"], "waves": waves})
    page = client.get(path_of(made)).text
    assert len(page) < 100_000, len(page)
    assert page.count('class="box ') == 200
    assert page.count("way of site-with-a-name-") == 50
    one = client.get(f"{path_of(made)}?cluster=cluster-150").text
    assert one.count("way of site-with-a-name-") == 50
    assert "160 more: choose a wave above" in page


# --- orders


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("verb=pause", ["Pause?", "Nothing new begins", "resume"]),
        ("verb=abort", ["Abort?", "can&#39;t be resumed", 'class="danger"']),
        ("verb=approve", ["Approve wave 2?", "1 cluster with 2 nodes at berlin", "--wave 2"]),
        ("verb=approve&wave=1", ["Approve wave 1?"]),
    ],
)
def test_an_order_says_what_it_does_before_it_is_given(client, waits, opened, query, texts):
    page = client.get(f"{path_of(waits)}/order?{query}").text
    for text in texts:
        assert text in page
    assert f"cto rollout {query.split('&')[0].removeprefix('verb=')} {waits['id']}" in page
    with opened() as services:
        assert services.store.rollout_commands(waits["id"]) == ()  # looking is no order


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("verb=destroy", 400),
        ("", 400),
        ("verb=approve&wave=9", 400),
        ("verb=cancel&cluster=nowhere", 400),
        ("verb=cancel&cluster=berlin", 409),  # it is done
    ],
)
def test_what_can_not_be_ordered_is_said_before(client, waits, query, status):
    assert client.get(f"{path_of(waits)}/order?{query}").status_code == status


def test_approving_without_a_number_means_the_wave_that_waits(login, waits, rollout, opened, app, bearer):
    otto = login("otto")
    data = {"csrf": otto.csrf, "verb": "approve", "wave": "", "reason": "the canary is well"}
    assert otto.post(f"{path_of(waits)}/order", data=data).status_code == 303
    order = {"verb": "approve", "reason": "the canary is well"}
    path = f"/api/v1/rollouts/{waits['id']}/orders"
    assert app.test_client().post(path, json=order, headers=bearer("operator")).status_code == 202
    with opened() as services:
        assert [each.wave for each in services.store.rollout_commands(waits["id"])] == [1, 1]
    refused = otto.post(f"{path_of(rollout)}/order", data=data)
    assert refused.status_code == 409
    assert "no wave of this rollout waits" in refused.text


def test_an_operator_of_all_its_sites_may_order_it(login, waits, opened, client):
    olga = login("olga")
    assert waits["id"] in olga.get("/rollouts").text
    page = olga.get(path_of(waits)).text
    assert "order?verb=pause" in page
    assert "porto" not in page  # what was left out elsewhere
    data = {"csrf": olga.csrf, "verb": "pause", "reason": "a customer calls"}
    assert olga.post(f"{path_of(waits)}/order", data=data).status_code == 303
    with opened() as services:
        (order,) = services.store.rollout_commands(waits["id"])
    assert order.actor == "user:olga"
    assert "its window is closed for good" in client.get(path_of(waits)).text


def test_only_orders_that_change_something_are_offered(client, access, rollout, queries):
    from web.rollout_orders import offered

    view = queries.rollout(rollout["id"])
    assert offered(view) == ["pause", "abort"]
    assert offered(replace(view, status="paused")) == ["resume", "abort"]
    assert offered(replace(view, status="stopped")) == ["abort"]
    assert offered(replace(view, status="aborted")) == []
    assert offered(replace(view, over=True)) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (1300, "21 min"),
        (3600, "1 h"),
        (12_060, "3 h 21 min"),
        (187_200, "2 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_lengths_of_time(seconds, text):
    assert lasts(seconds) == text


def test_whoever_started_it_does_not_approve_by_page_nor_by_token(login, waits, access, opened, app, bearer):
    own = keep(access, waits, id="bbbb000011112222", actor="user:otto")
    otto = login("otto")
    data = {"csrf": otto.csrf, "verb": "approve", "wave": "2", "reason": "the canary is well"}
    refused = otto.post(f"{path_of(own)}/order", data=data)
    assert refused.status_code == 409
    assert "started a rollout" in refused.text
    assert "another person" in refused.text
    anna = login("anna")
    assert anna.post(f"{path_of(own)}/order", data={**data, "csrf": anna.csrf}).status_code == 303
    with opened() as services:
        (order,) = services.store.rollout_commands(own["id"])
    assert (order.verb, order.actor) == ("approve", "user:anna")


def test_a_token_is_no_second_person_beside_its_owner(waits, access, app, bearer, opened):
    headers = bearer("operator")
    order = {"verb": "approve", "reason": "the canary is well", "wave": 2}
    path = f"/api/v1/rollouts/{waits['id']}/orders"
    assert app.test_client().post(path, json=order, headers=headers).status_code == 202
    with opened() as services:
        actor = services.store.rollout_commands(waits["id"])[0].actor
    own = keep(access, waits, id="cccc000011112222", actor=f"user:{actor.split(':')[2]}")
    refused = app.test_client().post(f"/api/v1/rollouts/{own['id']}/orders", json=order, headers=headers)
    assert refused.status_code == 409
    assert "another person" in refused.text


def test_an_approval_that_does_not_count_yet_is_shown_and_can_be_withdrawn(
    client, login, waits, access, opened
):
    waves = [dict(each) for each in waits["summary"]["waves"]]
    waves[1] |= {"state": "approval", "approved_by": "local:ada", "approval_counts_in": 540}
    alone = keep(access, waits, id="dddd000011112222", summary={**waits["summary"], "waves": waves})
    page = client.get(path_of(alone)).text
    assert "approved by local:ada, which counts in 9 min" in page
    assert "verb=withdraw" in page
    page = client.get(f"{path_of(alone)}/order?verb=withdraw").text
    assert "Withdraw the approval of wave 2?" in page
    assert client.get(f"{path_of(waits)}/order?verb=withdraw").status_code == 409
    otto = login("otto")
    data = {"csrf": otto.csrf, "verb": "withdraw", "wave": "", "reason": "wait for the kernel"}
    assert otto.post(f"{path_of(alone)}/order", data=data).status_code == 303
    with opened() as services:
        (order,) = services.store.rollout_commands(alone["id"])
    assert (order.verb, order.wave) == ("withdraw", 1)
