"""How a site file says which network card an interface is, other than by its kernel name. Checks the shape
only; which card of a machine that is, `roles.nics` decides.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from inventory import values as v
from inventory.model import Model

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}|(?=.*\*)[0-9a-f:*]{2,24}")
_GLOB = re.compile(r"[A-Za-z0-9_.:*-]{1,64}")
# Names that kernels and systemd give; an alias of such a name could be another card's.
_KERNEL = re.compile(r"(eth|ens|eno|wlan|usb|bond|br|dummy|lo)[0-9]*|en[px].*|ib.*")

Mac = Annotated[
    str,
    v.matching(_MAC, "a MAC address", "write it in lower case, such as 52:54:00:12:34:56, or 52:54:00:*"),
    v.text(_MAC, "52:54:00:12:34:56"),
]
Glob = Annotated[str, v.matching(_GLOB, "a name of a device", "write it as ip and lspci show it")]


class InterfaceMatch(Model):
    """Exactly one network card of the machine must fit all that is said."""

    mac: Mac | None = Field(default=None, description="Its permanent address; `*` stands for anything.")
    driver: Glob | None = Field(
        default=None, description="Its kernel driver; `*` stands for anything.", examples=["igb"]
    )
    bus_path: Glob | None = Field(
        default=None, description="Its place on the bus; `*` stands for anything.", examples=["0000:01:00.*"]
    )
    physical: Literal[True] | None = Field(default=None, description="Only Ethernet cards.")
    auto: Literal[True] | None = Field(
        default=None,
        description="Choose by the facts: of the cards that fit and have a link, the one that holds the "
        "machine's address, else the first. Written down by its MAC address.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.model_dump(exclude_none=True):
            v.refuse("match says nothing", "write mac, driver, busPath, physical or auto: true")
        if self.auto and self.mac and "*" not in self.mac:
            v.refuse("auto beside a MAC address", "keep one of the two: the address is one card already")
        return self


def check(name: str, logical: bool, match: Any) -> None:
    """Refuses what can't be: a bond or VLAN that is a card, an alias that may be another card's name."""
    if match is None:
        return
    if logical:
        v.refuse("a bond or VLAN with match", "declare its card as an interface of its own, with match")
    if _KERNEL.fullmatch(name):
        fix = "choose one that no kernel gives, such as lan0"
        v.refuse(f"{v.quote(name)} with match could be the name of another card", fix)
