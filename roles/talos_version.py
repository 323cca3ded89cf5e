"""Which Talos minors we render for, what each one's configuration looks like, and which Kubernetes versions
it runs. Data and two questions.

Source of the differences: Talos config/contract.go and its generator, minor by minor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory.errors import RefusedError
from inventory.versions import KUBERNETES_OF_TALOS


@dataclass(frozen=True, slots=True)
class Contract:
    """What a Talos minor accepts. `kubernetes` is the inclusive range of minors of Kubernetes 1.x."""

    minor: str
    kubernetes: tuple[int, int]
    default_kubernetes: str

    @property
    def number(self) -> int:
        return int(self.minor.partition(".")[2])

    @property
    def network_documents(self) -> bool:
        """Host name, links, DNS, time and mirrors have documents of their own; before, all was `machine`."""
        return self.number >= 12

    @property
    def environment_document(self) -> bool:
        return self.number >= 13

    @property
    def kubernetes_documents(self) -> bool:
        """Nearly all of `machine` and `cluster` has documents of its own; what stays is who the node is."""
        return self.number >= 14

    @property
    def explicit_features(self) -> bool:
        """Switches that later minors hide, since they are always on."""
        return self.number <= 11

    @property
    def search_domains(self) -> bool:
        return self.number >= 9


_DEFAULTS = {8: "1.31.4", 9: "1.32.4", 10: "1.33.6", 11: "1.34.1", 12: "1.35.4", 13: "1.36.3", 14: "1.37.0"}
CONTRACTS: Mapping[str, Contract] = {
    f"1.{number}": Contract(f"1.{number}", KUBERNETES_OF_TALOS[number], kubernetes)
    for number, kubernetes in _DEFAULTS.items()
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
