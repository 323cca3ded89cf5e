"""Which Talos minors exist, and which Kubernetes minors each supports. Tables; decides nothing.

Source: `compatibility/talos1NN` of the Talos machinery library, release branches 1.8 to 1.14.
"""

from collections.abc import Mapping

# Talos minor of major 1 → first and last supported Kubernetes minor of major 1.
KUBERNETES_OF_TALOS: Mapping[int, tuple[int, int]] = {
    8: (26, 31),
    9: (27, 32),
    10: (28, 33),
    11: (29, 34),
    12: (30, 35),
    13: (31, 36),
    14: (32, 37),
}
# Of each minor, the patch that our configurations are checked against (tests/contract/talos/modules).
TESTED_TALOS: Mapping[int, str] = {
    8: "1.8.3",
    9: "1.9.5",
    10: "1.10.6",
    11: "1.11.6",
    12: "1.12.7",
    13: "1.13.9",
    14: "1.14.1",
}
FIRST_TALOS, LAST_TALOS = min(KUBERNETES_OF_TALOS), max(KUBERNETES_OF_TALOS)


def minor(version: str) -> int:
    """The minor number of `1.x.y`."""
    return int(version.split(".")[1])


def kubernetes_supported(talos: str, kubernetes: str) -> bool:
    first, last = KUBERNETES_OF_TALOS[minor(talos)]
    return first <= minor(kubernetes) <= last


def kubernetes_range(talos: str) -> str:
    """`1.31 to 1.36`, for messages."""
    first, last = KUBERNETES_OF_TALOS[minor(talos)]
    return f"1.{first} to 1.{last}"
