"""Which Talos minors we render for, and which Kubernetes versions each of them runs. Data and two
questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Contract:
    """What a Talos minor accepts. `kubernetes` is the inclusive range of minors of Kubernetes 1.x."""

    minor: str
    kubernetes: tuple[int, int]
    default_kubernetes: str


CONTRACTS: Mapping[str, Contract] = {
    contract.minor: contract
    for contract in (Contract("1.13", kubernetes=(31, 36), default_kubernetes="1.36.3"),)
}


def contract_of(talos: str) -> Contract:
    """The contract of a version such as "1.13.9"."""
    minor = ".".join(talos.removeprefix("v").split(".")[:2])
    if minor not in CONTRACTS:
        raise RefusedError(
            f"machine configurations for Talos {talos or '(none given)'} come later",
            fix=f"set image.talos to a version of {', '.join(CONTRACTS)}",
        )
    return CONTRACTS[minor]


def check_kubernetes(contract: Contract, kubernetes: str) -> None:
    """Refuses a Kubernetes that this Talos does not run."""
    major, _, rest = kubernetes.removeprefix("v").partition(".")
    minor = rest.partition(".")[0]
    low, high = contract.kubernetes
    if major != "1" or not minor.isdigit() or not low <= int(minor) <= high:
        raise RefusedError(
            f"Talos {contract.minor} does not run Kubernetes {kubernetes or '(none given)'}",
            fix=f"set the cluster's kubernetes to 1.{low} … 1.{high}, such as {contract.default_kubernetes}",
        )
