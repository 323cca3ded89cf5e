"""Who counts, who finds no place, and that plan and apply say and do the same. Signed with a key made here."""

import base64
from datetime import timedelta

import pytest

from controller.app import licensing
from controller.app.plan import Look, make_plan
from controller.app.run import execute
from controller.core.license.document import License, issue, key_id, keys_of
from controller.core.license.rules import Standing
from controller.core.plan import Change
from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import NodeState
from inventory.resolve import load_files
from inventory.selectors import Selection
from tests.unit.app.conftest import NOW

SEED = bytes(range(32))


def _host_key(n):
    """A well-formed key of nobody's."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes([n]) * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def site(count=12, first="10.0.0.1", jump=""):
    """One cluster of `count` workers and a control plane, addressed from `first` on."""
    head, last = first.rsplit(".", 1)
    way = f"\n  jump: {jump}" if jump else ""
    nodes = "".join(
        "---\napiVersion: fleet/v1\nkind: Node\n"
        f"metadata: {{name: n{n:02}}}\n"
        f"spec:\n  cluster: c\n  role: {'worker' if n else 'controlplane'}\n"
        f"  address: {head}.{int(last) + n}{way}\n  hostKey: {_host_key(n)}\n"
        for n in range(count)
    )
    return (
        "apiVersion: fleet/v1\nkind: Site\nmetadata: {name: s}\nspec: {timezone: Europe/Berlin, defaults: {image: {talos: 1.13.9}}}\n"
        "---\napiVersion: fleet/v1\nkind: Cluster\nmetadata: {name: c}\n"
        f"spec: {{site: s, endpoint: 'https://{first}:6443', kubernetes: 1.36.3}}\n" + nodes
    )


@pytest.fixture
def resolved():
    return load_files({"site.yaml": site()})


def _import(services, **changes):
    fields = {
        "nodes": 100,
        "clusters": None,
        "not_before": NOW - timedelta(days=1),
        "expires": NOW + timedelta(days=365),
    }
    made = License("lic_1", "Acme", **{**fields, **changes})
    ((name, public),) = keys_of(SEED).items()
    services.store.trust_license_key(name, base64.b64encode(public).decode(), actor="ada")
    return licensing.import_license(services, issue(made.payload(), SEED), actor="ada")


def _put(store, state, *names):
    """As if the steps that lead there had been done."""
    for name in names:
        store._connection.execute("UPDATE nodes SET state = ? WHERE name = ?", [state, name])


def _asked(services, resolved):
    return licensing.without_place(services, resolved.fleet.nodes.values())


def test_ten_find_a_place_in_the_order_of_the_files(services, resolved):
    services.store.declare(resolved.fleet, actor="ada")
    assert list(_asked(services, resolved)) == ["n10", "n11"]


def test_what_is_there_keeps_its_place_whatever_the_licence(services, resolved):
    services.store.declare(resolved.fleet, actor="ada")
    _import(services)
    _put(services.store, NodeState.READY, *resolved.fleet.nodes)
    services.clock.at = NOW + timedelta(days=1000)
    assert licensing.held(services).allowance.standing is Standing.EXPIRED
    assert _asked(services, resolved) == {}


def test_one_that_was_reset_can_come_back(services, resolved):
    services.store.declare(resolved.fleet, actor="ada")
    _put(services.store, NodeState.READY, *list(resolved.fleet.nodes)[:10])
    _put(services.store, NodeState.RESET, "n03")
    assert list(_asked(services, resolved)) == ["n10", "n11"]
    fewer = load_files({"site.yaml": site(3)})  # it is no longer in the files: its place is free
    services.store.declare(fewer.fleet, actor="ada")
    assert licensing.held(services).nodes == 9


@pytest.mark.parametrize(("jump", "held"), [("", 0), ("ops@127.0.0.1", 2)])
def test_simulated_machines_do_not_count(services, jump, held):
    lab = load_files({"site.yaml": site(first="127.0.0.1", jump=jump)})
    services.store.declare(lab.fleet, actor="ada")
    assert len(_asked(services, lab)) == held


def test_setting_the_clock_back_makes_no_licence_younger(services, resolved):
    _import(services)
    services.store.keep_time(NOW + timedelta(days=1000), "")
    assert licensing.held(services).allowance.standing is Standing.EXPIRED


def test_a_row_changed_by_hand_is_worth_nothing(services):
    _import(services)
    services.store._connection.execute("UPDATE license SET text = replace(text, 'A', 'B')")
    found = licensing.held(services)
    assert (found.license, found.allowance.standing) == (None, Standing.COMMUNITY)
    assert found.problem


def test_a_key_that_is_none_is_not_taken():
    for text in ("", "AAAA", "é", "*" * 44):
        with pytest.raises(OperatorError, match=r"\.pub file"):
            licensing.public_key(text)
    assert len(key_id(bytes(32))) == 16


async def test_plan_and_apply_say_the_same(services, resolved):
    """No machine answers here. What has no place is refused for that, and is not even asked."""
    plan = await make_plan(services, resolved, Selection.parse(), Look.NONE)
    by_name = {node.name: node for node in plan.nodes}
    reasons = {n: [r.reason for r in by_name[n].refusals] for n in ("n09", "n10", "n11")}
    assert all(by_name[n].change is Change.REFUSED for n in ("n10", "n11")), reasons
    body = {"texts": {"site.yaml": site()}, "selection": Selection.parse().to_dict(), "kind": "apply"}
    run = services.store.queue_run("apply", body["selection"], actor="ada", options={})
    verdict = await execute(services, run, {**body, "until": ""})
    told = {n: verdict.failed.get(f"node/{n}", "") for n in by_name}
    assert [n for n, what in told.items() if "no place" in what] == ["n10", "n11"]


async def test_adopting_asks_too(services, text):
    many = load_files({"site.yaml": site(12).replace("  hostKey: ", "  # ")})
    with pytest.raises(RefusedError, match="no place"):
        from controller.app.adopt import adopt

        await adopt(services, many.fleet, "c", text, where="b", actor="ada")
