"""Which network card an expression of ours finds: asked in the environment in which Talos evaluates it."""

import base64
from typing import Any

import pytest

from facts.machine_model import HardwareNic
from inventory.errors import RefusedError
from roles.config_links import expression
from roles.nics import NicMatch, choose
from tests.contract.talos import judges

pytestmark = [pytest.mark.needs("go"), pytest.mark.slow]
CARDS = (
    HardwareNic("enp1s0", "52:54:00:00:00:01", driver="igb", slot="0000:01:00.0"),
    HardwareNic("enp1s1", "52:54:00:00:00:02", driver="igbvf", slot="0000:01:00.1"),
    HardwareNic("enp2s0", "52:54:00:ab:cd:ef", driver="ixgbe", slot="0000:02:00.0"),
)
ETHER, INFINIBAND = 1, 32  # ARPHRD_*


def link(nic: HardwareNic, type_: int = ETHER, kind: str = "") -> dict[str, Any]:
    mac = base64.b64encode(bytes.fromhex(nic.mac.replace(":", ""))).decode()
    return {"mac": mac, "type": type_, "kind": kind, "driver": nic.driver, "bus": nic.slot}


def found(minor: str, match: NicMatch, links: list[dict[str, Any]]) -> list[bool]:
    [answer] = judges.ask(minor, [{"op": "links", "match": expression(match), "links": links}])
    assert answer["error"] == ""
    return list(answer["matches"])


@pytest.mark.parametrize("minor", ["1.12", "1.13", "1.14"])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"mac": "52:54:00:ab:cd:ef"}, [2]),
        ({"mac": "52:54:00:00:*"}, [0, 1]),
        ({"driver": "igb"}, [0]),
        ({"driver": "igb*"}, [0, 1]),
        ({"driver": "*vf", "busPath": "0000:01:*"}, [1]),
        ({"driver": "igb", "busPath": "0000:02:*"}, []),
        ({"busPath": "0000:0*:00.0"}, [0, 2]),
        ({"physical": True}, [0, 1, 2]),
        ({"driver": "ixgbe", "physical": True, "mac": "*:cd:ef"}, [2]),
    ],
)
def test_talos_finds_the_cards_that_we_find(minor: str, said: dict[str, Any], expected: list[int]) -> None:
    match = NicMatch(
        said.get("mac", ""), said.get("driver", ""), said.get("busPath", ""), bool(said.get("physical"))
    )
    matches = found(minor, match, [link(nic) for nic in CARDS])
    assert [number for number, yes in enumerate(matches) if yes] == expected
    if len(expected) == 1:
        assert choose(said, CARDS, name="lan0", taken={}).card == CARDS[expected[0]].name
    else:
        with pytest.raises(RefusedError):
            choose(said, CARDS, name="lan0", taken={})


@pytest.mark.parametrize("minor", ["1.12", "1.14"])
def test_physical_leaves_only_ethernet_cards(minor: str) -> None:
    links = [link(CARDS[0]), link(CARDS[0], INFINIBAND), link(CARDS[0], ETHER, "vlan")]
    assert found(minor, NicMatch(driver="igb", physical=True), links) == [True, False, False]
    assert found(minor, NicMatch(driver="igb"), links) == [True, True, True]
