"""What the options of `cto iso build` come to, without building: layers, secrets, and what is taken back."""

import json
from pathlib import Path

import pytest

from controller.cli.base import App
from controller.cli.image_request import prepare
from inventory.errors import OperatorError
from iso.render import site as layers

EXAMPLES = Path(__file__).parents[3] / "examples"
HA = EXAMPLES / "ha-site.yaml"
NONE = {
    **dict.fromkeys(("files", "controllers", "keys", "cas", "addresses", "dns"), ()),
    **dict.fromkeys(("for_site", "enroll", "role", "node")),
    **dict.fromkeys(("air_gapped", "locked"), False),
    "enrolling": True,
    "expires": "7d",
    "countdown": 60,
    "serial": "ttyS0",
    "arch": "amd64",
}


@pytest.fixture
def make(services):
    """`make(files=(…), role=…)`: the prepared request."""

    def call(*, before=lambda: None, **options):
        app = App(environ={"USER": "ada"})
        return prepare(app, services, {**NONE, **options}, before=before, tell=lambda *_: None)

    return call


def test_without_a_site_file_it_lets_the_controller_in_and_no_more(make, services):
    layer = make().layer
    assert layer.authorized_keys == (services.ssh_public_key,)
    assert not layer.secret
    assert not layer.site_file


def test_a_site_file_makes_an_image_that_enrols(make, store):
    made = make(files=(HA,), role="worker", controllers=("10.0.0.5",), countdown=7)
    assert made.layer.secret
    assert (made.layer.site, made.layer.countdown) == ("berlin", 7)
    assert "kind: Site" in made.layer.site_file
    held = json.loads(layers.files(made.layer)["etc/cto/enroll.json"])
    [row] = store.tokens()
    assert held["token"].startswith(f"CTO1-{row.id}-")
    assert (row.site, row.role, row.uses) == ("berlin", "worker", 1)
    told = "\n".join(layers.contents(made.layer))
    assert row.id in told
    assert held["token"] not in told
    made.undo()
    assert store.tokens()[0].revoked_at


def test_a_site_file_without_a_token_is_no_secret(make, store):
    made = make(files=(HA,), enrolling=False)
    assert made.layer.site_file
    assert not made.layer.secret
    assert store.tokens() == ()


def test_a_node_gets_its_own_key_which_is_trusted_once_the_image_is_there(make, store):
    made = make(files=(HA,), node="berlin-cp-1")
    assert made.layer.host_key
    assert not made.layer.site_file
    assert store.node("berlin-cp-1") is None
    made.finish()
    row = store.node("berlin-cp-1")
    assert (row.address, row.jump) == ("10.20.0.11", "ops@bastion.berlin.example.com")
    assert row.host_key
    assert store.tokens() == ()


def test_a_node_may_enrol_instead(make, store):
    first = make(files=(HA,), role="worker")
    made = make(files=(HA,), node="berlin-worker-1", enroll=first.layer.enroll.token)
    assert made.layer.enroll.token == first.layer.enroll.token
    assert not made.layer.host_key


def test_nothing_is_made_if_the_build_can_not_begin(make, store):
    def refuse():
        raise OperatorError("no tools", fix="install them")

    for options in ({"role": "worker"}, {"node": "berlin-cp-1"}):
        with pytest.raises(OperatorError, match="no tools"):
            make(files=(HA,), before=refuse, **options)
    with pytest.raises(OperatorError, match="no serial port"):
        make(files=(HA,), role="worker", serial="x")
    assert store.tokens() == ()
    assert store.nodes() == ()
