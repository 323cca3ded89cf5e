"""What interfaces and a shared address mean together: found before anything is rendered."""

from typing import Any

import pytest
import yaml

from inventory.errors import SiteFileError
from inventory.resolve import load_files

PEM = "-----BEGIN CERTIFICATE-----\n" + "QUJD" * 16 + "\n-----END CERTIFICATE-----\n"


def site(interfaces: list[dict[str, Any]], *, node: dict[str, Any] | None = None, **cluster: Any) -> str:
    nodes = [
        {
            "name": "kn-1",
            "role": "controlplane",
            "address": "10.0.0.5",
            "settings": {"network": {"interfaces": interfaces}},
            **(node or {}),
        }
    ]
    spec = {"site": "kn", "kubernetes": "1.34.1", "nodes": nodes, **cluster}
    spec["defaults"] = {"image": {"talos": "1.13.9"}}
    documents = [
        {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": "kn"}, "spec": body}
        for kind, body in (("Organization", {}), ("Site", {"timezone": "UTC"}), ("Cluster", spec))
    ]
    return yaml.safe_dump_all(documents, sort_keys=False)


def test_a_shared_address_becomes_the_endpoint() -> None:
    fleet = load_files({"kn.yaml": site([{"name": "eth0"}], vip="10.0.0.10")}).fleet
    assert fleet.clusters["kn"].endpoint == "https://10.0.0.10:6443"
    assert fleet.clusters["kn"].settings["vip"] == "10.0.0.10"


def test_a_vlan_on_a_bond_is_fine() -> None:
    made = site(
        [
            {"name": "bond0", "bond": ["eth0", "eth1"], "dhcp": False},
            {"name": "bond0.7", "vlan": 7, "addresses": ["10.0.0.5/24"], "gateway": "10.0.0.1"},
        ]
    )
    network = load_files({"kn.yaml": made}).fleet.nodes["kn-1"].settings["network"]
    assert network["interfaces"][1]["vlan"] == 7


@pytest.mark.parametrize(
    ("interfaces", "more", "what"),
    [
        ([], {"vip": "10.0.0.10"}, "nothing says which interface of kn-1"),
        ([{"name": "eth0"}], {"vip": "10.0.0.5"}, "vip 10.0.0.5 is the address of kn-1"),
        ([{"name": "eth0"}, {"name": "eth0"}], {}, "eth0 is declared twice"),
        ([{"name": "bond0", "bond": ["eth0"]}, {"name": "eth0"}], {}, "eth0 is declared twice"),
        (
            [{"name": "a.1", "vlan": 1}, {"name": "b", "vlan": 2, "parent": "a.1"}],
            {},
            "stands on another VLAN",
        ),
        ([{"name": "eth0", "dhcp": False}], {}, "no interface of kn-1 has an address"),
        ([{"name": "eth0", "addresses": ["10.0.0.9/24"]}], {}, "will only have 10.0.0.9"),
        (
            [{"name": "eth0", "addresses": ["10.0.0.9/24"]}],
            {"node": {"talosAddress": "10.0.0.8"}},
            "is to answer at 10.0.0.8",
        ),
        ([{"name": "lan0", "match": {}}], {}, "match says nothing"),
        ([{"name": "lan0", "match": {"mac": "52:54:00:12:34"}}], {}, "is not a MAC address"),
        ([{"name": "lan0", "match": {"mac": "52:54:00:AB:34:56"}}], {}, "is not a MAC address"),
        ([{"name": "lan0", "match": {"mac": "52:54:00:ab:34:56", "auto": True}}], {}, "auto beside a MAC"),
        ([{"name": "eth0", "match": {"driver": "igb"}}], {}, "could be the name of another card"),
        ([{"name": "enp1s0", "match": {"driver": "igb"}}], {}, "could be the name of another card"),
        ([{"name": "b", "bond": ["a"], "match": {"driver": "igb"}}], {}, "a bond or VLAN with match"),
        ([{"name": "lan0", "match": {"driver": "igb; reboot"}}], {}, "is not a name of a device"),
        (
            [{"name": "b", "bond": ["lan0"]}, {"name": "lan0", "match": {"driver": "igb"}, "dhcp": True}],
            {},
            "lan0 is declared twice",
        ),
        (
            [{"name": "b", "bond": ["lan0"], "dhcp": False}, {"name": "lan0", "match": {"driver": "igb"}}],
            {},
            "no interface of kn-1 has an address",
        ),
    ],
)
def test_what_can_t_work(interfaces: list[dict[str, Any]], more: dict[str, Any], what: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        load_files({"kn.yaml": site(interfaces, **more)})
    assert any(what in problem.what for problem in caught.value.problems)


def test_the_talos_address_may_be_the_static_one() -> None:
    made = site([{"name": "eth0", "addresses": ["10.0.0.9/24"]}], node={"talosAddress": "10.0.0.9"})
    assert load_files({"kn.yaml": made}).fleet.nodes["kn-1"].talos_address == "10.0.0.9"


def test_a_bond_of_cards_that_are_matched() -> None:
    made = site(
        [
            {"name": "lan0", "match": {"mac": "52:54:00:*"}},
            {"name": "lan1", "match": {"auto": True, "physical": True}},
            {"name": "bond0", "bond": ["lan0", "lan1"], "addresses": ["10.0.0.5/24"]},
        ],
        vip="10.0.0.10",
    )
    network = load_files({"kn.yaml": made}).fleet.nodes["kn-1"].settings["network"]
    assert network["interfaces"][1]["match"] == {"auto": True, "physical": True}


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"m.example": "abc"}, "this is not one certificate"),
        ({"m.example": PEM + PEM}, "this is not one certificate"),
        ({"m.example": PEM.replace("CERTIFICATE", "PRIVATE KEY")}, "this is not one certificate"),
        ({"*": PEM}, "is not one registry"),
        ({"https://m.example": PEM}, "is not an image registry"),
    ],
)
def test_the_authority_of_a_registry(said: dict[str, str], what: str) -> None:
    made = site([], node={"settings": {"registryCAs": said}})
    with pytest.raises(SiteFileError) as caught:
        load_files({"kn.yaml": made})
    assert any(what in problem.what for problem in caught.value.problems)
    assert "QUJD" not in str(caught.value)  # nothing of it is repeated: it may be a key
    good = site([], node={"settings": {"registryCAs": {"m.example:5000": PEM}}})
    assert load_files({"kn.yaml": good}).fleet.nodes["kn-1"].settings["registryCAs"] == {
        "m.example:5000": PEM
    }
