"""What a plan says before anything is sent to a machine."""

from dataclasses import replace

import pytest

from controller.app.delivery.registry import DELIVERIES
from controller.app.desired import _by_id, _delivery
from inventory.fleet import Delivery, Image, Node

NODE = Node("n", "s", "c", "controlplane", image=Image(talos="1.13.9"))


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        (Delivery(reason="the default"), ["partition that is dropped", "(the default)"]),
        (Delivery("state"), ["STATE partition", "never tried by us on a real Talos"]),
        (Delivery("maintenance-push"), ["pushed to the node", "cto node confirm n", "cto apply again"]),
        (Delivery("maintenance-push", True), ["pushed to the node", "segment trusted"]),
    ],
)
def test_the_plan_says_how_the_configuration_gets_there(delivery: Delivery, said: list[str]) -> None:
    text = "; ".join(_delivery(replace(NODE, delivery=delivery)))
    assert all(one in text for one in said), text
    assert ("cto node confirm" in text) == (delivery == Delivery("maintenance-push"))


def test_every_way_of_a_site_file_has_its_code() -> None:
    assert set(DELIVERIES) == set(Delivery.__annotations__["method"].__args__)


def test_a_schematic_by_id_is_pointed_at() -> None:
    assert _by_id(NODE) == ()
    by_id = replace(NODE, image=Image(talos="1.13.9", schematic="a" * 64))
    (note,) = _by_id(by_id)
    assert "talos.config=metal-iso" in note
    assert _by_id(replace(by_id, delivery=Delivery("state"))) == ()
