"""Approving machines and ordering rollouts about, by page and API, over the real store and use cases."""

import pytest


def audit(opened):
    with opened() as services:
        return [
            (row["actor"], row["action"], row["object"])
            for row in services.store._rows("SELECT actor, action, object FROM audit ORDER BY seq")
        ]


# --- machines that ask to join


def test_a_machine_that_waits_is_shown_with_its_words(client, machine):
    page = client.get("/pending").text
    assert machine["words"] in page
    assert "berlin-w-9" in page
    assert "the only worker of berlin without a machine" in page
    assert 'href="/pending"' in client.get("/").text


def test_nobody_is_let_in_whose_words_were_not_compared(client, machine, opened):
    data = {"csrf": client.csrf, "id": machine["id"]}
    answer = client.post("/pending/approve", data=data)
    assert answer.status_code == 400
    assert "compared" in answer.text
    with opened() as services:
        assert services.store.node("berlin-w-9").host_key == ""


def test_an_approval_pins_the_machine(login, machine, opened):
    olga = login("olga")
    data = {"csrf": olga.csrf, "id": machine["id"], "compared": "yes"}
    assert olga.post("/pending/approve", data=data).headers["Location"] == "/pending?said=approved"
    with opened() as services:
        node = services.store.node("berlin-w-9")
        assert (node.state, node.host_key, node.address) == ("pinned", machine["ssh_key"], "10.0.0.50")
    assert ("user:olga", "approve enrollment") in [row[:2] for row in audit(opened)]
    assert "No machine waits" in olga.get("/pending").text
    again = olga.post("/pending/approve", data=data)
    assert again.status_code in (400, 409)


def test_a_machine_is_turned_away(client, machine, opened):
    data = {"csrf": client.csrf, "id": machine["id"], "reason": "not ours"}
    assert client.post("/pending/reject", data=data).status_code == 303
    assert "not ours" in client.get("/pending").text
    assert any(action == "reject enrollment" for _, action, _ in audit(opened))


@pytest.mark.parametrize("name", ["vera", "nobody-there"])
def test_viewers_and_other_sites_decide_nothing(login, client, machine, opened, name):
    if name == "vera":
        who, status = login("vera"), 403
    else:
        data = {"csrf": client.csrf, "name": "otto", "grants": "operator:site=porto"}
        client.post("/settings/accounts/grants", data=data)
        who, status = login("otto"), 404
        assert machine["words"] not in who.get("/pending").text
    data = {"csrf": who.csrf, "id": machine["id"], "compared": "yes"}
    assert who.post("/pending/approve", data=data).status_code == status
    assert who.post("/pending/reject", data=data).status_code == status
    with opened() as services:
        assert services.store.enrollment(machine["id"]).state == "pending"


def test_the_api_compares_the_words_itself(app, bearer, machine):
    client, headers = app.test_client(), bearer("operator:site=berlin")
    path = f"/api/v1/enrollments/{machine['id']}/approval"
    wrong = client.post(path, json={"words": "zoo zoo zoo zoo zoo zoo"}, headers=headers)
    assert wrong.status_code == 409
    assert "another machine" in wrong.json["fix"]
    assert machine["words"] not in wrong.text
    right = client.post(path, json={"words": machine["words"].removeprefix("ENROLL ")}, headers=headers)
    assert right.json == {"node": "berlin-w-9"}


def test_the_overview_says_what_waits_for_whom(client, login, machine, rollout, windows):
    page = client.get("/").text
    assert "1 machine to be let in at berlin" in page
    assert f"rollout/{rollout['id']}" in page
    assert "porto-1: look at its console" in page
    assert "2 of 3 nodes" in page
    assert "Sat 14 Mar 02:01-05:00 CET" in page  # the next window
    assert "porto" not in login("olga").get("/").text


def test_several_sites_are_frozen_at_once_or_none(login, client, windows, queries, opened):
    data = {"csrf": client.csrf, "site": ["berlin", "porto"], "reason": "a good reason"}
    assert client.post("/calendar/freeze", data=data).status_code == 303
    with opened() as services:
        assert sorted(each.site for each in services.store.freezes()) == ["berlin", "porto"]
    olga = login("olga")
    answer = olga.post("/calendar/freeze", data={**data, "csrf": olga.csrf})
    assert answer.status_code == 404  # she sees no porto, and then berlin is not frozen either
    assert (
        client.post("/calendar/freeze", data={"csrf": client.csrf, "reason": "a good reason"}).status_code
        == 400
    )
    with opened() as services:
        assert len(services.store.freezes()) == 2


def test_another_person_agrees_that_the_clock_is_right(client, login, opened):
    from controller.app import windows

    with opened() as services:
        services.store.keep_time(services.clock.now(), "the clock was set forward by 24 h 0 min")
        word = windows.confirm_clock(services, actor="user:anna", reason="compared with my phone", people=2)
    assert "the clock is right" in client.get("/calendar").text
    assert client.post("/calendar/approve", data={"csrf": client.csrf, "id": word.id}).status_code == 409
    olga = login("olga")  # of one site only
    assert olga.post("/calendar/approve", data={"csrf": olga.csrf, "id": word.id}).status_code in (403, 404)
    otto = login("otto")
    assert otto.post("/calendar/approve", data={"csrf": otto.csrf, "id": word.id}).status_code == 303
    with opened() as services:
        assert services.store.time_state()[1] == ""
    assert ("user:otto", "confirm the clock", "time") in audit(opened)


# --- rollouts


def test_a_rollout_shows_waves_why_it_waits_and_who_is_needed(client, rollout):
    page = client.get(f"/rollouts/{rollout['id']}").text
    for text in ("Wave 2", "outside its maintenance windows", "look at its console", "needs-hands", "2 of 3"):
        assert text in page
    assert "approved by user:anna" in page
    assert 'class="badge tone-warn"' in page  # running, and not everywhere
    chosen = client.get(f"/rollouts/{rollout['id']}?wave=1").text
    assert "berlin-cp-1" in chosen
    assert "/nodes/porto-1" not in chosen
    assert rollout["id"] in client.get("/rollouts").text
    assert client.get("/rollouts/nothing").status_code in (400, 404)


@pytest.mark.parametrize(("verb", "wave"), [("pause", ""), ("resume", ""), ("abort", ""), ("approve", "2")])
def test_orders_are_left_for_the_engine(login, rollout, opened, verb, wave):
    otto = login("otto")
    data = {"csrf": otto.csrf, "verb": verb, "wave": wave, "reason": "a customer calls"}
    assert otto.post(f"/rollouts/{rollout['id']}/order", data=data).status_code == 303
    with opened() as services:
        (order,) = services.store.rollout_commands(rollout["id"])
    assert (order.verb, order.actor, order.wave) == (verb, "user:otto", 1 if wave else -1)
    assert ("user:otto", f"rollout {verb}", f"rollout/{rollout['id']}") in audit(opened)
    assert verb in otto.get(f"/rollouts/{rollout['id']}").text


@pytest.mark.parametrize(
    "data", [{"verb": "destroy", "reason": "because"}, {"verb": "pause", "reason": ""}, {}]
)
def test_an_order_that_is_none(client, rollout, opened, data):
    answer = client.post(f"/rollouts/{rollout['id']}/order", data={"csrf": client.csrf, **data})
    assert answer.status_code == 400
    with opened() as services:
        assert services.store.rollout_commands(rollout["id"]) == ()


def test_who_may_not_act_at_every_site_of_a_rollout_orders_nothing(login, rollout, opened):
    for name, status in (("olga", 404), ("vera", 403)):  # olga does not see Porto, and so not this rollout
        who = login(name)
        data = {"csrf": who.csrf, "verb": "pause", "reason": "a customer calls"}
        assert who.post(f"/rollouts/{rollout['id']}/order", data=data).status_code == status
        assert who.get(f"/rollouts/{rollout['id']}/order?verb=pause").status_code == status
    assert rollout["id"] not in login("olga").get("/rollouts").text
    assert login("olga").get(f"/rollouts/{rollout['id']}").status_code == 404
    assert "order?verb" not in login("vera").get(f"/rollouts/{rollout['id']}").text
    with opened() as services:
        assert services.store.rollout_commands(rollout["id"]) == ()


def test_rollouts_over_the_api(app, bearer, rollout, opened):
    client, headers = app.test_client(), bearer("operator")
    path = f"/api/v1/rollouts/{rollout['id']}"
    assert client.get(path, headers=headers).json["summary"]["nodes"] == 3
    clusters = client.get(f"{path}/clusters", headers=headers).json["items"]
    assert [each["name"] for each in clusters] == ["berlin", "porto"]
    order = {"verb": "pause", "reason": "a customer calls"}
    answer = client.post(f"{path}/orders", json=order, headers={**headers, "Idempotency-Key": "pause-once-1"})
    again = client.post(f"{path}/orders", json=order, headers={**headers, "Idempotency-Key": "pause-once-1"})
    assert (answer.status_code, answer.data) == (202, again.data)
    assert answer.json["ordered"] == "pause"
    with opened() as services:
        assert len(services.store.rollout_commands(rollout["id"])) == 1


def test_rollouts_are_ordered_about_from_afar(app, access, login, rollout, opened):
    """What `cto --server` sends, against the application itself."""
    from controller.adapters.http_orders import HttpOrders
    from web.access.grants import Grant

    _, token = access.create_api_token(
        login("otto").login.principal, Grant.parse("operator"), note="x", days=1
    )
    client = app.test_client()

    class Near:
        """Asks the application without a network."""

        def ask(self, method, path, body=None):
            answer = client.open(
                f"/api/v1{path}", method=method, json=body, headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.status_code < 300, answer.text
            return answer.json

    orders = HttpOrders(Near())
    orders.order_rollout(rollout["id"], "approve", actor="ignored", reason="looks good", wave=1)
    with opened() as services:
        (order,) = services.store.rollout_commands(rollout["id"])
    assert (order.verb, order.wave, order.reason) == ("approve", 1, "looks good")
    assert order.actor.startswith("token:")
