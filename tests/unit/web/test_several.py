"""The same act on several things at once: machines that ask to join, rollouts."""

import pytest

from web import bulk


@pytest.fixture
def nodes(access, machine):
    """Berlin expects both machines by their serial numbers."""

    def put(services):
        from inventory.fleet import Cluster, Fleet, Node, Site

        names = ("berlin-w-8", "berlin-w-9")
        fleet = Fleet(
            "acme",
            {"berlin": Site("berlin", "acme", "Europe/Berlin", ("kn",))},
            {"kn": Cluster("kn", "berlin", "https://10.0.0.2:6443", "1.36.3", names)},
            {name: Node(name, "berlin", "kn", "worker") for name in names},
        )
        services.store.declare(fleet, actor="test")
        for name, serial in zip(names, ("S-1", "7c01d2ab"), strict=True):
            services.store._connection.execute(
                "INSERT INTO expected_hardware (node, kind, value) VALUES (?, 'serial', ?)", [name, serial]
            )

    access._writing.run(put)


def post(client, ids, verb, **more):
    data = {"csrf": client.csrf, "id": ids, "verb": verb, "compared": "yes", **more}
    return client.post("/pending/several", data=data)


def states(opened):
    with opened() as services:
        return {row.id: (row.state, row.node, row.decided_by) for row in services.store.enrollments()}


def test_words_of_every_machine_are_shown_without_their_label(client, machine, put_machine):
    made = put_machine()
    page = client.get("/pending").text
    assert made["words"] in page
    assert "<li>ENROLL</li>" not in page  # also not for the second one
    assert page.count("<li>zoo</li>") == 1


def test_one_machine_is_not_several(client, machine):
    assert "Several at once" not in client.get("/pending").text


def test_several_are_approved_with_their_words_compared(client, machine, put_machine, nodes, opened):
    made = put_machine()
    answer = post(client, [machine["id"], made["id"]], "approve")
    assert answer.headers["Location"] == "/pending?said=several-approve"
    assert states(opened) == {
        machine["id"]: ("approved", "berlin-w-8", "user:anna"),
        made["id"]: ("approved", "berlin-w-9", "user:anna"),
    }
    rows = client.get("/api/v1/audit?search=approve").json
    assert sum("words compared" in row["reason"] for row in rows) == 2


@pytest.mark.parametrize("compared", ["", "no"])
def test_none_is_let_in_whose_words_nobody_compared(client, machine, put_machine, nodes, opened, compared):
    made = put_machine()
    assert 'name="compared"' in client.get("/pending").text.split("Several at once")[1].split("</form>")[0]
    answer = post(client, [machine["id"], made["id"]], "approve", compared=compared)
    assert answer.status_code == 400
    assert "nobody has compared the words" in answer.text
    assert {each[0] for each in states(opened).values()} == {"pending"}
    answer = post(client, [made["id"]], "reject", compared=compared)  # which needs no words
    assert answer.status_code == 303


def test_what_can_not_be_approved_is_named_and_the_rest_is_done(client, machine, put_machine, nodes, opened):
    made = put_machine(conflict="two machines say they are S-2")
    answer = post(client, [made["id"], machine["id"]], "approve")
    assert answer.status_code == 409
    assert "1 act done, 1 not" in answer.text
    assert f"{made['id']}: enrolment {made['id']} is in conflict" in answer.text
    assert [each[0] for each in sorted(states(opened).values())] == ["approved", "pending"]


def test_several_are_turned_away(client, machine, put_machine, opened):
    made = put_machine()
    assert post(client, [machine["id"], made["id"]], "reject", reason="not ours").status_code == 303
    assert {each[0] for each in states(opened).values()} == {"rejected"}
    page = client.get("/pending").text
    assert "not ours" in page


def test_nothing_is_done_where_one_is_elsewhere(login, machine, put_machine, opened):
    """The grant is asked for all of them before the first is decided."""
    made = put_machine(site="porto")
    olga = login("olga")
    assert post(olga, [machine["id"], made["id"]], "reject").status_code == 404  # she does not see porto
    assert {each[0] for each in states(opened).values()} == {"pending"}
    assert post(login("vera"), [machine["id"]], "reject").status_code == 403


@pytest.mark.parametrize(
    ("ids", "verb", "says"),
    [
        ([], "approve", "no machine was chosen"),
        (["3f9a6c1e"], "kill", "no decision"),
        (["3f9a6c1e"], "", "no"),
    ],
)
def test_what_was_not_said_is_asked_for(client, machine, ids, verb, says):
    answer = post(client, ids, verb)
    assert answer.status_code == 400
    assert says in answer.text


def test_the_command_beside_it_names_all_of_them(client, machine, put_machine):
    put_machine()
    page = client.get("/pending").text
    assert "for each in 3f9a6c1e 7c01d2ab; do cto enroll reject" in page


def test_a_command_quotes_what_it_names():
    assert bulk.command("cto x", ["a"], " --y") == "cto x a --y"
    assert bulk.command("cto x", ["a", "$(b)"]) == "for each in a '$(b)'; do cto x \"$each\"; done"


def order(client, ids, verb, reason="a customer calls"):
    data = {"csrf": client.csrf, "rollout": ids, "verb": verb, "reason": reason}
    return client.post("/rollouts/several", data=data)


def test_several_rollouts_are_paused(client, rollout, opened):
    page = client.get("/rollouts").text
    assert f"cto rollout pause {rollout['id']}" in page
    assert order(client, [rollout["id"]], "pause").headers["Location"] == "/rollouts?ordered=yes"
    with opened() as services:
        (made,) = services.store.rollout_commands(rollout["id"])
    assert (made.verb, made.actor, made.reason) == ("pause", "user:anna", "a customer calls")
    assert "Ordered" in client.get("/rollouts?ordered=yes").text


def test_only_what_can_be_taken_back_is_ordered_of_several(client, rollout, opened):
    answer = order(client, [rollout["id"]], "abort")
    assert answer.status_code == 400
    assert "not ordered of several" in answer.text
    assert order(client, [rollout["id"]], "pause", reason="x").status_code == 400
    assert order(client, ["nothing"], "pause").status_code in (400, 404)
    assert order(client, [], "pause").status_code == 400
    with opened() as services:
        assert not services.store.rollout_commands(rollout["id"])


def test_somebody_without_the_grant_is_offered_nothing(login, rollout):
    for name in ("vera", "olga"):  # olga may act in Berlin, the rollout is in Porto, too
        page = login(name).get("/rollouts").text
        assert "several at once" not in page
        assert order(login(name), [rollout["id"]], "pause").status_code in (403, 404)


def test_nodes_that_were_ticked_get_one_command_for_each_act(client):
    page = client.get("/nodes").text
    assert 'name="node" value="berlin-w-1"' in page
    assert 'action="/chosen"' in page
    page = client.get("/chosen?node=berlin-w-1&node=porto-1&node=porto-1").text
    for line in (
        "cto plan -f site.yaml --node berlin-w-1 --node porto-1",
        "cto node reset -f site.yaml --node berlin-w-1 --node porto-1",
    ):
        assert f'data-copy="{line}"' in page
    assert "2 nodes" in page


def test_nodes_elsewhere_are_not_chosen(login, client):
    assert login("olga").get("/chosen?node=porto-1").status_code == 404
    assert client.get("/chosen?" + "&".join(f"node=n{n}" for n in range(101))).status_code == 400
    assert "Tick some" in client.get("/chosen").text


def test_names_of_nodes_are_quoted_for_the_shell(queries, payloads):
    import shlex
    from dataclasses import replace

    from web.chosen import acts

    nodes = [replace(queries.node_views[0], name=text) for text in payloads]
    for act in acts(nodes):
        assert shlex.split(act.command)  # every quote is closed
        for text in payloads:
            assert shlex.quote(text) in act.command
