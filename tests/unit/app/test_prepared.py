"""What an image takes along: a one-use token for the right site, disk images by their hashes, and what it can't."""

import hashlib
import json

import pytest
import zstandard

from controller.app import carried, prepared
from controller.app.prepared import Wanted
from inventory.errors import OperatorError
from inventory.resolve import load_files
from roles.enrollment.token import Token

SITE = """\
apiVersion: fleet/v1
kind: Site
metadata: {{name: berlin}}
spec: {{timezone: UTC}}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {{name: berlin}}
spec:
  site: berlin
  kubernetes: 1.36.3
  endpoint: https://10.0.0.10:6443
  defaults: {{image: {{talos: 1.13.9, url: "{url}"}}}}
  nodes:
    - {{name: b-1, role: controlplane, address: 10.0.0.1}}
    - {{name: b-2, role: worker, address: 10.0.0.2, settings: {{registryMirrors: {{docker.io: [https://m]}}}}}}
"""


URL = "https://factory.example/image/ab/metal-amd64.raw.zst"


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Stands for the network."""
    path = tmp_path / "mirror/image/ab/metal-amd64.raw.zst"
    path.parent.mkdir(parents=True)
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(3 * 2**20)))
    monkeypatch.setenv("CTO_IMAGES", str(tmp_path / "mirror"))
    return path


@pytest.fixture
def fleet():
    return load_files({"site.yaml": SITE.format(url=URL)}).fleet


def tokens(store):
    return [(row.site, row.role, row.uses, row.revoked_at) for row in store.tokens()]


def test_a_token_is_made_for_the_site_and_the_role_and_taken_back_if_nothing_comes_of_it(
    services, store, fleet
):
    wanted = Wanted(site="berlin", role="worker", addresses=("10.0.0.5:7443",))
    site, made = prepared.enrollment(services, wanted, fleet, actor="local:ada")
    assert site == "berlin"
    assert tokens(store) == [("berlin", "worker", 1, "")]
    held = json.loads(made.settings)
    assert Token.from_text(held["token"]).id == made.token
    assert held["addresses"] == ["10.0.0.5:7443"]
    assert len(held["pin"]) == 64
    assert held["token"] not in repr(made)
    assert made.expires.startswith("2026-03-09")
    prepared.withdraw(services, wanted, made, actor="local:ada")
    assert tokens(store)[0][3]


def test_a_token_that_is_there_is_named_by_its_id(services, store, fleet):
    wanted = Wanted(site="berlin", role="worker")
    _, made = prepared.enrollment(services, wanted, fleet, actor="local:ada")
    named = Wanted(token=made.token.lower())
    site, again = prepared.enrollment(services, named, None, actor="local:ada")
    assert (site, again.settings) == ("berlin", made.settings)
    prepared.withdraw(services, named, again, actor="local:ada")
    assert not tokens(store)[0][3]  # it was not made for this image


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(site="berlin"), "has the roles controlplane, worker"),
        (Wanted(site="berlin", role="appliance"), "no node at berlin has the role appliance"),
        (Wanted(token="AAAAAAAAAA"), "not known, used up"),
        (Wanted(site="berlin", role="worker", addresses=("not an address",)), "address"),
        (Wanted(token="CTO1-AAAQEAYEAU-A4EASCQLBQGQ4DYQCEJBGFAVCY"), "the token itself, which is a secret"),
        (Wanted(token="aaaqeayeau-a4eascqlbqgq4dyqcejbgfavcy"), "the token itself, which is a secret"),
        (Wanted(token="A4EASCQLBQGQ4DYQCEJBGFAVCY"), "the token itself, which is a secret"),
        (Wanted(token="berlin"), "not the id of a token"),
    ],
)
def test_what_would_make_a_useless_image_is_refused_and_nothing_is_made(services, store, fleet, wanted, says):
    with pytest.raises(OperatorError, match=says) as caught:
        prepared.enrollment(services, wanted, fleet, actor="local:ada")
    assert caught.value.fix
    assert "A4EASCQ" not in str(caught.value)
    assert tokens(store) == []


def test_a_token_for_many_or_for_elsewhere_is_refused(services, store, fleet):
    from datetime import timedelta

    store.declare_site(fleet, "berlin", actor="local:ada")
    many = Token.make(bytes(range(23)))
    store.create_token(many, site="berlin", role="worker", uses=2, life=timedelta(days=1), actor="local:ada")
    with pytest.raises(OperatorError, match="good for 2 machines"):
        prepared.enrollment(services, Wanted(token=many.id), None, actor="local:ada")
    one = Token.make(bytes(range(1, 24)))
    store.create_token(one, site="berlin", role="worker", uses=1, life=timedelta(days=1), actor="local:ada")
    with pytest.raises(OperatorError, match="for site berlin, and the image is for paris"):
        prepared.enrollment(services, Wanted(site="paris", token=one.id), None, actor="local:ada")


async def test_images_travel_once_and_by_their_hash(mirror, services, fleet):
    found = await carried.carried(services, fleet, fleet.nodes.values(), arch="amd64")
    [item] = found
    assert item.sha256 == hashlib.sha256(mirror.read_bytes()).hexdigest()
    assert (item.url, item.source) == (URL, mirror)
    assert item.place == "/usr/lib/cto/images/image/ab/metal-amd64.raw.zst"
    [note] = carried.unmet(fleet.clusters.values(), fleet.nodes)
    assert "b-1" in note
    assert "b-2" not in note


async def test_what_had_to_be_packed_anew_can_not_travel(mirror, services, fleet):
    mirror.write_bytes(bytes(3 * 2**20))
    with pytest.raises(OperatorError, match="packed with zstd"):
        await carried.carried(services, fleet, fleet.nodes.values(), arch="amd64")


def test_places_of_urls():
    assert (
        carried.place("https://factory.example/image/ab/v1/x.zst") == "/usr/lib/cto/images/image/ab/v1/x.zst"
    )
    assert carried.place("file:///srv/a%20b.zst") == "/srv/a b.zst"
    with pytest.raises(OperatorError, match="whole path"):
        carried.place("images/x.zst")
    with pytest.raises(OperatorError, match="empties that folder"):  # it once travelled and was swept away
        carried.place("file:///tmp/x.zst")


def test_a_site_is_taken_over_once_and_audited(store, fleet):
    store.declare_site(fleet, "berlin", actor="local:ada")
    head = store.audit_head()
    store.declare_site(fleet, "berlin", actor="local:ada")
    assert store.audit_head() == head
    store.note_image("cto.iso", "0" * 64, contents="a token", actor="local:ada")
    assert store.audit_head().seq == head.seq + 1
    assert store.audit_verify().ok
