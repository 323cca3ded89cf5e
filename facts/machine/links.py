"""Driver, speed and carrier of each network interface, from /sys/class/net. Addresses: see `nics`."""

from dataclasses import dataclass

from facts.limits import capped, word
from facts.spec import FactSpec
from facts.sysfs import first, lines

_BASE = "/sys/class/net/"


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    mac: str = ""
    carrier: bool | None = None  # None: the interface is down, so the kernel does not know
    speed: int = 0  # Mbit/s, 0 = unknown
    driver: str = ""  # "bnxt_en"; "" for interfaces that are not hardware
    slot: str = ""  # PCI address
    hardware: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    items: tuple[Link, ...]
    omitted: int = 0


def _link(name: str, found: dict[str, list[str]]) -> Link:
    uevent: dict[str, str] = {}
    for line in found.get(f"{_BASE}{name}/device/uevent", []):
        key, _, value = line.partition("=")
        uevent[key] = word(value)
    carrier = first(found, f"{_BASE}{name}/carrier")
    speed = first(found, f"{_BASE}{name}/speed")  # "-1" without a carrier
    return Link(
        name=word(name),
        mac=first(found, f"{_BASE}{name}/address").lower(),
        carrier={"1": True, "0": False}.get(carrier),
        speed=int(speed) if speed.isascii() and speed.isdigit() and len(speed) <= 7 else 0,
        driver=uevent.get("DRIVER", ""),
        slot=uevent.get("PCI_SLOT_NAME", ""),
        hardware=bool(uevent),
    )


def parse(text: str) -> Links:
    found = lines(text)
    names = {path[len(_BASE) :].partition("/")[0] for path in found if path.startswith(_BASE)} - {"lo", ""}
    items, omitted = capped(sorted(names))
    return Links(items=tuple(_link(name, found) for name in items), omitted=omitted)


FACT = FactSpec(
    name="links",
    title="network links and drivers",
    # Reading `speed` or `carrier` of an interface that is down fails; that is normal.
    command=(
        "grep -H . /sys/class/net/*/address /sys/class/net/*/carrier /sys/class/net/*/speed"
        " /sys/class/net/*/device/uevent 2>/dev/null"
    ),
    parse=parse,
    model=Links,
    strict=False,
)
