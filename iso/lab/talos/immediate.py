"""Which changes of a configuration Talos applies at once, and which only a boot takes over (up to 1.13).

As `CanApplyImmediate` in v1alpha1_runtime.go has it: what is named here is applied at once, all else of the
main document is not, and other documents always are.
"""

from collections.abc import Mapping
from typing import Any

_MAIN = frozenset(("debug", "cluster"))
_MACHINE = frozenset(
    (
        *(
            "ca",
            "acceptedCAs",
            "certSANs",
            "controlPlane",
            "install",
            "kernel",
            "kubelet",
            "logging",
            "network",
        ),
        *("nodeAnnotations", "nodeLabels", "nodeTaints", "pods", "registries", "seccompProfiles"),
        *("sysctls", "sysfs", "time"),
    )
)
_FEATURES = frozenset(
    ("kubernetesTalosAPIAccess", "kubePrism", "hostDNS", "imageCache", "nodeAddressSortAlgorithm")
)


def needs_reboot(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """`old`, `new`: main documents."""
    return _lasting(old) != _lasting(new)


def _lasting(main: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that only a boot takes over."""
    machine = main.get("machine") or {}
    return {
        **_without(main, _MAIN | {"machine"}),
        "machine": _without(machine, _MACHINE | {"features"}),
        "features": _without(machine.get("features") or {}, _FEATURES),
    }


def _without(values: Mapping[str, Any], names: frozenset[str]) -> Mapping[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
