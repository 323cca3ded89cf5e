"""Interfaces from settings, in the form of each Talos minor."""

import base64
from typing import Any

import pytest
import yaml

from inventory.errors import OperatorError, RefusedError
from roles.network import links
from roles.talos_version import CONTRACTS
from tests.contract.talos import matrix


def documents(minor: str, role: str, network: str, features: str = "plain") -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(matrix.render(minor, role, network, features)))


def test_before_1_12_all_stands_in_the_main_document() -> None:
    main, *others = documents("1.11", "controlplane", "vlan", "much")
    assert others == []
    network = main["machine"]["network"]
    assert network["hostname"] == "kn-1"
    bond = network["interfaces"][0]
    assert (bond["interface"], bond["dhcp"], bond["bond"]["interfaces"]) == (
        "bond0",
        False,
        ["enp1s0", "enp2s0"],
    )
    assert bond["vlans"] == [
        {
            "vlanId": 7,
            "dhcp": False,
            "addresses": ["10.0.0.5/24"],
            "routes": [{"network": "0.0.0.0/0", "gateway": "10.0.0.1"}],
            "vip": {"ip": "10.0.0.10"},
        }
    ]
    assert main["machine"]["time"] == {"servers": ["10.0.0.1"]}
    assert set(main["machine"]["registries"]["mirrors"]) == {"docker.io"}
    assert main["machine"]["env"]["http_proxy"] == "http://proxy:3128"


@pytest.mark.parametrize("minor", ["1.12", "1.13"])
def test_from_1_12_on_there_are_documents(minor: str) -> None:
    main, *others = documents(minor, "controlplane", "vlan", "much")
    assert "network" not in main["machine"]
    by_kind = {document["kind"]: document for document in others}
    assert by_kind["BondConfig"]["bondMode"] == "active-backup"
    assert (by_kind["VLANConfig"]["vlanID"], by_kind["VLANConfig"]["parent"]) == (7, "bond0")
    assert by_kind["Layer2VIPConfig"]["name"] == "10.0.0.10"
    assert by_kind["Layer2VIPConfig"]["link"] == "bond0.7"
    assert "DHCPv4Config" not in by_kind
    assert ("EnvironmentConfig" in by_kind) is (minor == "1.13")
    assert ("env" in main["machine"]) is (minor == "1.12")


def test_a_worker_never_holds_the_shared_address() -> None:
    assert "Layer2VIPConfig" not in matrix.render("1.13", "worker", "static")


def test_an_interface_takes_dhcp_unless_it_has_addresses() -> None:
    made = links({"network": {"interfaces": [{"name": "a"}, {"name": "b", "addresses": ["10.0.0.1/8"]}]}})
    assert [link.dhcp for link in made] == [True, False]
    assert links({}) == ()


def test_the_shared_address_needs_an_interface() -> None:
    with pytest.raises(OperatorError, match="which interface"):
        links({}, "10.0.0.9", where="node n")


def test_search_domains_came_with_1_9() -> None:
    assert not CONTRACTS["1.8"].search_domains
    with pytest.raises(RefusedError, match="can't be given search domains"):
        matrix.render("1.8", "worker", more={"searchDomains": ["a.example"]})


@pytest.mark.parametrize(
    ("minor", "name"), [("1.8", "installer"), ("1.9", "installer"), ("1.10", "metal-installer")]
)
def test_the_installer_s_name(minor: str, name: str) -> None:
    [main, *_] = documents(minor, "worker", "dhcp")
    assert main["machine"]["install"]["image"].startswith(f"factory.talos.dev/{name}/")


def test_without_kube_proxy() -> None:
    [main, *_] = documents("1.13", "controlplane", "dhcp", "apart")
    assert main["cluster"]["proxy"]["disabled"] is True
    assert main["cluster"]["network"]["cni"] == {"name": "none"}


@pytest.mark.parametrize("minor", ["1.8", "1.11", "1.12", "1.14"])
def test_a_registry_with_an_authority_of_its_own(minor: str) -> None:
    pem = matrix.MUCH["registryCAs"]["m.example:5000"]
    main, *others = documents(minor, "worker", "dhcp", "much")
    if CONTRACTS[minor].network_documents:
        (found,) = [each for each in others if each["kind"] == "RegistryTLSConfig"]
        assert (found["name"], found["ca"]) == ("m.example:5000", pem)
    else:
        tls = main["machine"]["registries"]["config"]["m.example:5000"]["tls"]
        assert base64.b64decode(tls["ca"]).decode() == pem


def test_a_certificate_of_a_registry_that_is_none() -> None:
    broken = matrix.MUCH["registryCAs"]["m.example:5000"].replace("MII", "AAA", 1)
    with pytest.raises(OperatorError, match="not a certificate") as caught:
        matrix.render("1.13", "worker", more={"registryCAs": {"m.example": broken}})
    assert caught.value.where == "node kn-1: settings.registryCAs: m.example"
