"""What is refused before anything is sent to a machine."""

from dataclasses import replace

import pytest

from controller.app.desired import _by_id, _not_built
from inventory.fleet import Delivery, Image, Node

NODE = Node("n", "s", "c", "controlplane", image=Image(talos="1.13.9"))


@pytest.mark.parametrize("method", ["state", "maintenance-push"])
def test_a_way_of_delivery_that_is_not_built_is_refused_by_name(method: str) -> None:
    (refusal,) = _not_built(replace(NODE, delivery=Delivery(method)))  # type: ignore[arg-type]
    assert method in refusal.reason
    assert "metal-iso" in refusal.fix


def test_the_default_way_is_not_refused() -> None:
    assert _not_built(NODE) == ()


def test_a_schematic_by_id_is_pointed_at() -> None:
    assert _by_id(NODE) == ()
    (note,) = _by_id(replace(NODE, image=Image(talos="1.13.9", schematic="a" * 64)))
    assert "talos.config=metal-iso" in note
