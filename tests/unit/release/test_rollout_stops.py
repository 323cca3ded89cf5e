"""Releases that came on a stick are as good for a rollout as those of a feed that was asked."""

from controller.app.rollout_releases import published
from controller.wiring import open_services


def test_a_bundle_tells_a_rollout_of_its_releases(cto, bundle, far):
    with open_services(far) as services:
        assert published(services, "stable").versions("talos") == ()
    assert cto("bundle", "import", bundle, to=far).code == 0
    with open_services(far) as services:
        assert published(services, "stable").versions("talos") == ("1.13.8", "1.13.9")
