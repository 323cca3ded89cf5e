"""Which network card an interface is: by what is said of it, by the facts, and never by a guess."""

from typing import Any

import pytest
import yaml

from facts.machine_model import HardwareNic
from inventory.errors import RefusedError
from roles.network import Link, links, reasons
from tests.contract.talos import matrix

ONE = HardwareNic("eno1", "02:00:00:00:00:01", None, driver="igb", slot="0000:01:00.0")
TWO = HardwareNic("eno2", "02:00:00:00:00:02", True, driver="igb", slot="0000:01:00.1")
TEN = HardwareNic(
    "ens3", "02:00:00:00:00:03", True, driver="ixgbe", addresses=("10.0.0.5/24",), slot="0000:02:00.0"
)
NICS = (ONE, TWO, TEN)


def made(
    *interfaces: dict[str, Any], nics: tuple[HardwareNic, ...] = NICS, address: str = ""
) -> tuple[Link, ...]:
    return links({"network": {"interfaces": interfaces}}, where="node n", nics=nics, address=address)


def lan(name: str = "lan0", **match: Any) -> dict[str, Any]:
    return {"name": name, "match": match}


def test_the_card_that_holds_the_address_comes_before_the_first_with_a_link() -> None:
    for address, card in (("", "eno2"), ("10.0.0.9", "eno2"), ("10.0.0.5", "ens3")):
        (link,) = made(lan(auto=True), address=address)
        assert link.match is not None
        assert (link.match.card, link.match.mac) == (card, {n.name: n.mac for n in NICS}[card])
    assert reasons(made(lan(auto=True)))[0].endswith("of 3 cards the first with a link")
    assert "it has a link and holds 10.0.0.5" in reasons(made(lan(auto=True), address="10.0.0.5"))[0]
    assert reasons(made(lan(mac=ONE.mac), {"name": "ens3"})) == ()


def test_each_takes_a_card_that_no_other_has() -> None:
    found = made(lan("a", auto=True), lan("b", auto=True))
    assert [link.match.card for link in found if link.match] == ["eno2", "ens3"]
    found = made(lan("a", auto=True), lan("b", driver="igb", busPath="*.1"))
    assert [link.match.card for link in found if link.match] == ["ens3", "eno2"]
    found = made(lan("a", auto=True), {"name": "eno2"})
    assert found[0].match is not None
    assert found[0].match.card == "ens3"
    found = made(lan("a", auto=True, driver="igb"))
    assert found[0].match is not None
    assert found[0].match.card == "eno2"


@pytest.mark.parametrize(
    ("interfaces", "what"),
    [
        ((lan(mac="02:00:00:00:00:09"),), r"no network card fits mac 02:.*:09; there are: eno1 \(02:"),
        ((lan(driver="igb"),), "2 network cards fit driver igb: eno1"),
        ((lan(physical=True),), "3 network cards fit physical"),
        ((lan(driver="igb", busPath="0000:02:*"),), "no network card fits driver igb, busPath 0000:02"),
        (
            (lan("a", mac=ONE.mac), lan("b", driver="igb", busPath="*.0")),
            "a and b are the same network card, eno1",
        ),
        (({"name": "eno1"}, lan("b", mac=ONE.mac)), "eno1 and b are the same"),
        ((lan(auto=True, busPath="*:01:00.0"),), "no card that fits and is free has a link"),
        ((lan("a", auto=True), lan("b", auto=True), lan("c", auto=True)), "interface c can't be chosen"),
    ],
)
def test_what_is_refused(interfaces: tuple[dict[str, Any], ...], what: str) -> None:
    with pytest.raises(RefusedError, match=what) as caught:
        made(*interfaces)
    assert caught.value.where == "node n"
    assert caught.value.fix


def test_without_facts_only_auto_is_refused() -> None:
    (link,) = made(lan(driver="igb"), nics=())
    assert link.match is not None
    assert (link.match.driver, link.match.card) == ("igb", "")
    with pytest.raises(RefusedError, match="network cards are not known"):
        made(lan(auto=True), nics=())


def test_what_is_not_known_of_a_card_does_not_rule_it_out() -> None:
    """A virtual card has no place on the bus of its own in the facts; Talos asks the card itself."""
    (link,) = made(lan(busPath="0000:09:*"), nics=(HardwareNic("eth0", "02:00:00:00:00:01"),))
    assert link.match is not None
    assert link.match.bus_path == "0000:09:*"


def test_the_shared_address_goes_to_a_bond_and_not_to_its_member() -> None:
    interfaces = [lan(mac=ONE.mac), {"name": "bond0", "bond": ["lan0"]}]
    found = links({"network": {"interfaces": interfaces}}, "10.0.0.10", nics=NICS)
    assert [(link.name, link.vip, link.member) for link in found] == [
        ("lan0", "", True),
        ("bond0", "10.0.0.10", False),
    ]


@pytest.mark.parametrize(
    ("minor", "mac"), [("1.8", "hardwareAddr"), ("1.9", "permanentAddr"), ("1.11", "permanentAddr")]
)
def test_a_device_selector_before_1_12(minor: str, mac: str) -> None:
    main = yaml.safe_load(matrix.render(minor, "controlplane", "matched-bond"))
    bond, *others = main["machine"]["network"]["interfaces"]
    assert others == []
    assert bond["bond"]["deviceSelectors"] == [{mac: "52:54:00:00:00:01"}, {"driver": "ixgbe"}]
    assert "interfaces" not in bond["bond"]
    assert bond["vlans"][0]["vip"] == {"ip": "10.0.0.10"}
    first, second = yaml.safe_load(matrix.render(minor, "worker", "selector"))["machine"]["network"][
        "interfaces"
    ]
    assert first["deviceSelector"] == {"driver": "igb*", "busPath": "0000:02:*", "physical": True}
    assert "interface" not in first | second
    (on_card,) = yaml.safe_load(matrix.render(minor, "worker", "matched-vlan"))["machine"]["network"][
        "interfaces"
    ]
    assert (on_card["dhcp"], on_card["vlans"][0]["vlanId"]) == (False, 7)


def test_names_of_their_own_from_1_12_on() -> None:
    documents = list(yaml.safe_load_all(matrix.render("1.13", "controlplane", "matched-bond")))
    aliases = {d["name"]: d["selector"]["match"] for d in documents if d.get("kind") == "LinkAliasConfig"}
    assert aliases == {
        "lan0": 'mac(link.permanent_addr) == "52:54:00:00:00:01"',
        "lan1": 'link.driver == "ixgbe"',
    }
    kinds = [(d.get("kind"), d.get("name")) for d in documents]
    assert ("LinkConfig", "lan0") not in kinds
    assert kinds.index(("LinkAliasConfig", "lan1")) < kinds.index(("BondConfig", "bond0"))
    globbed = matrix.render("1.14", "worker", "selector")
    assert 'glob("igb*", link.driver) && glob("0000:02:*", link.bus_path) && link.type == 1' in globbed


def test_old_bonds_take_no_mixture() -> None:
    mixed = [lan(mac="52:54:00:00:00:01"), {"name": "bond0", "bond": ["lan0", "enp3s0"]}]
    assert "BondConfig" in matrix.render("1.12", "worker", more={"network": {"interfaces": mixed}})
    with pytest.raises(RefusedError, match="partly matched"):
        matrix.render("1.11", "worker", more={"network": {"interfaces": mixed}})
