"""How a node's configuration reaches its first boot, decided from the site file and the Talos version.

A table and one question. What each way does is `controller.app.delivery`'s matter.
"""

from typing import Literal, cast

from inventory import versions

Method = Literal["metal-iso", "state", "maintenance-push"]
FIRST_METAL_ISO = 10  # the first Talos minor that can drop a partition again (BlockDeviceWipe)


def decide(asked: str, talos: str) -> tuple[Method, str]:
    """The method and why. `asked` is the site file's word, `talos` such as "1.9.6" or empty."""
    if asked != "auto":
        return cast(Method, asked), "the site file says so"  # the file's model lets no other word pass
    if talos and versions.minor(talos) < FIRST_METAL_ISO:
        return "state", f"Talos {talos} could not drop a partition of its own afterwards"
    return "metal-iso", "the default from Talos 1.10 on"
