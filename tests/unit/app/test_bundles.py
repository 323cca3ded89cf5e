"""Secrets as files: what is sealed, what is refused, what is told; and until when certificates are good."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.app import bundles
from controller.app.access import keep_access, renew_access
from controller.store import StoreQueries
from inventory.errors import BusyError, OperatorError, RefusedError
from inventory.lifecycle import NodeState
from roles.access import kubeconfig
from roles.authorities import with_accepted
from roles.secrets import Accepted, from_yaml, to_yaml
from web.fleet import gather

SITE = """apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec: {}
---
apiVersion: fleet/v1
kind: Site
metadata: {name: kn}
spec: {timezone: UTC}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {name: kn}
spec:
  site: kn
  endpoint: https://127.66.0.1:6443
  kubernetes: 1.36.3
  nodes:
    - {name: kn-1, role: appliance, address: 127.66.0.1, image: {talos: 1.13.9}}
"""


def declare(services):
    from inventory.resolve import load_files

    services.store.declare(load_files({"site.yaml": SITE}).fleet, actor="test")


def import_(services, text, **options):
    return bundles.import_bundle(services, "kn", text, where="f.yaml", actor="ada", **options)


def everything_told(services):
    with StoreQueries(services.home) as queries:
        told = [json.dumps([e.message, dict(e.data)]) for e in queries.events()]
    rows = services.store._rows("SELECT * FROM audit")
    return "\n".join(told + [str(tuple(row)) for row in rows])


def test_what_is_imported_comes_out_equal_and_says_so(services, store, text, bundle):
    assert import_(services, text) is True
    assert import_(services, text) is False
    assert from_yaml(bundles.export_bundle(services, "kn", actor="ada")) == bundle
    told = everything_told(services)
    assert "export secret" in told
    assert "cluster/kn/secrets was exported" in told
    for secret in (
        bundle.cluster_secret,
        bundle.bootstrap_token,
        bundle.trustd_token,
        bundle.secretbox_secret,
    ):
        assert secret not in told


def test_the_layout_of_the_file_does_not_matter(services, text, bundle):
    import yaml

    import_(services, text)
    assert import_(services, yaml.safe_dump(yaml.safe_load(text), sort_keys=True)) is False


def test_another_bundle_is_refused_then_replaced_while_unused(services, text, other):
    declare(services)
    import_(services, text)
    with pytest.raises(RefusedError, match="other secrets") as refused:
        import_(services, to_yaml(other))
    assert "--replace" in refused.value.fix
    assert import_(services, to_yaml(other), replace=True) is True
    assert services.bundles["kn"] == other
    assert bundles.same_as_stored(services, "kn", other)


def test_never_once_a_node_is_under_way(services, store, text, other):
    declare(services)
    import_(services, text)
    store.adopt("kn", {"kn-1": "1.13.9"}, first="kn-1", actor="test", reason="test")
    with pytest.raises(RefusedError, match="can't be exchanged"):
        import_(services, to_yaml(other), replace=True)


def test_authorities_that_are_accepted_besides_may_change_at_any_time(services, store, text, bundle, other):
    """A rotation begins and ends so, while the cluster runs; who issues is another matter."""
    declare(services)
    import_(services, text)
    store.adopt("kn", {"kn-1": "1.13.9"}, first="kn-1", actor="test", reason="test")
    both = with_accepted(bundle, Accepted(os=(other.os.crt,), k8s=(other.k8s.crt,)))
    assert import_(services, to_yaml(both)) is True
    assert import_(services, to_yaml(both)) is False
    assert from_yaml(bundles.export_bundle(services, "kn", actor="ada")) == both
    assert "accepted authorities replaced" in everything_told(services)
    with pytest.raises(RefusedError, match="can't be exchanged"):
        import_(services, to_yaml(replace(both, os=other.os)), replace=True)
    assert import_(services, text) is True
    assert bundles.stored(services, "kn") == bundle
    assert services.bundles["kn"] == bundle
    assert bundles.stored(services, "kn").accepted.settled
    assert not bundle.accepted.settled


def test_further_authorities_are_kept_once(services, text, bundle, other):
    import_(services, text)
    for _ in range(2):
        kept = bundles.keep_accepted(services, "kn", Accepted(os=(other.os.crt, bundle.os.crt)), actor="ada")
        assert kept.accepted == Accepted(os=(other.os.crt,))
    assert everything_told(services).count("it accepts further authorities") == 1
    assert bundles.stored(services, "kn") == kept


def test_not_under_an_engine(services, text):
    from controller.store import EngineLock

    with EngineLock.acquire(services.home), pytest.raises(BusyError):
        import_(services, text)


def test_create_never_twice(services, text):
    import_(services, text)
    with pytest.raises(RefusedError, match="never made again"):
        bundles.create_bundle(services, "kn", actor="ada")


@pytest.mark.parametrize("broken", ["", "a: [", "x" * (1 << 21), "certs: {}\n"])
def test_no_bundle(services, broken):
    with pytest.raises(OperatorError) as error:
        import_(services, broken)
    assert error.value.fix


def needs(services, now):
    with StoreQueries(services.home) as queries:
        return [need for need in gather(queries, now).needs if need.subject == "cluster/kn"]


def test_authorities_show_thirty_days_ahead_without_the_key(services, store, text, bundle):
    from roles.secrets import expiries

    declare(services)
    import_(services, text)
    services.home.key.unlink()
    end = min(expiries(bundle).values())
    assert needs(services, end - timedelta(days=31)) == []
    soon = needs(services, end - timedelta(days=30))
    assert [need.tone for need in soon] == ["warn"] * 4
    assert "CA etcd ends on" in soon[0].text + soon[1].text + soon[2].text + soon[3].text
    assert {need.tone for need in needs(services, end + timedelta(days=1))} == {"bad"}


def test_access_files_are_noted_and_made_anew(services, store, text, bundle):
    declare(services)
    import_(services, text)
    now = services.clock.now()
    made = kubeconfig(bundle, "kn", "https://127.66.0.1:6443", now=now, random_bytes=bytes)
    keep_access(services, "kn", made.encode())
    later = now + timedelta(days=340)
    assert [need.text.split()[0] for need in needs(services, later)] == ["kubeconfig"]
    store.note_expiries("kn", {"talosconfig": later})  # as older versions did
    services.clock.at = later
    renew_access(services, "kn")
    assert needs(services, later) == []
    assert store.get_secret("cluster/kn/kubeconfig") != made.encode()
    assert not (services.home.access("kn") / "talosconfig").exists()
    assert not store.has_secret("cluster/kn/talosconfig")


@pytest.mark.parametrize(
    "strange", [b"", b"[]", b"users: 3", b"users: [1, {user: {client-certificate-data: x}}]", b"\xff"]
)
def test_a_kubeconfig_that_tells_no_date(strange):
    assert bundles.client_end(strange) is None


def test_the_dates_of_older_stores_are_noted_at_the_next_plan(services, store, text):
    import asyncio

    from controller.app.desired import ensure_bundles

    store.put_secret("cluster/kn/secrets", text.encode())
    asyncio.run(ensure_bundles(services, ["kn"]))
    assert sorted(store.expiries("kn")) == ["CA etcd", "CA k8s", "CA k8saggregator", "CA os"]


def test_adopting_is_refused_for_what_was_installed_from_here(services, store):
    declare(services)
    store._connection.execute("UPDATE nodes SET state = ?", [NodeState.IMAGED])
    with pytest.raises(RefusedError, match="installed from here"):
        store.adopt("kn", {"kn-1": "1.13.9"}, first="kn-1", actor="test", reason="test")
