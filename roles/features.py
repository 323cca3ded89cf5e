"""Switches of a node (`longhorn: true`) and all that each one needs of Talos. Data only.

Where a feature needs an extension, a module and a mount at once, forgetting one gives a node that runs but
does not work, so they are kept in one row. What the cluster then installs is not decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Feature:
    extensions: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    sysctls_until: int = 99  # the last Talos minor that needs them
    mounts: tuple[Mapping[str, Any], ...] = ()  # kubelet.extraMounts, up to Talos 1.13
    volumes: tuple[str, ...] = ()  # in their place from 1.14 on: folders of /var, mounted at /var/mnt/<name>


def _nvidia(branch: str) -> Feature:
    """The open kernel modules and what runs on them, of one branch of NVIDIA's driver: both have these names
    since Talos 1.8. Up to 1.12 containers get at the cards by a program in the kernel that a hardened JIT
    refuses (docs.siderolabs.com, NVIDIA GPU).
    """
    return Feature(
        extensions=(
            f"siderolabs/nvidia-open-gpu-kernel-modules-{branch}",
            f"siderolabs/nvidia-container-toolkit-{branch}",
        ),
        modules=("nvidia", "nvidia_uvm", "nvidia_drm", "nvidia_modeset"),
        sysctls={"net.core.bpf_jit_harden": "1"},
        sysctls_until=12,
    )


# (switch, value): what it needs; true is the usual value of its switch.
FEATURES: Mapping[tuple[str, Any], Feature] = {
    # Longhorn's V1 engine mounts over iSCSI; the kubelet must see its data directory.
    ("longhorn", True): Feature(
        extensions=("siderolabs/iscsi-tools", "siderolabs/util-linux-tools"),
        mounts=(
            {
                "destination": "/var/lib/longhorn",
                "type": "bind",
                "source": "/var/lib/longhorn",
                "options": ["bind", "rshared", "rw"],
            },
        ),
        volumes=("longhorn",),
    ),
    ("nvidia", True): _nvidia("production"),
    ("nvidia", "production"): _nvidia("production"),
    ("nvidia", "lts"): _nvidia("lts"),
}


def wanted(settings: Mapping[str, Any]) -> tuple[Feature, ...]:
    """The features that these settings switch on."""
    return tuple(feature for (name, value), feature in FEATURES.items() if settings.get(name) == value)


def extensions(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The system extensions they need, for the schematic."""
    return tuple(name for feature in wanted(settings) for name in feature.extensions)
