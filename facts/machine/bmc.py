"""The management controller (BMC) and its network address, as the machine itself sees it."""

from dataclasses import dataclass

from facts.limits import word
from facts.spec import FactSpec


@dataclass(frozen=True, slots=True)
class Bmc:
    present: bool
    address: str = ""
    mac: str = ""
    source: str = ""  # "DHCP Address", "Static Address"
    vlan: str = ""


def parse(text: str) -> Bmc:
    row: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            row.setdefault(key.strip(), word(value))
    address = row.get("IP Address", "")
    vlan = row.get("802.1q VLAN ID", "")
    return Bmc(
        present=bool(row.get("device")),
        address="" if address == "0.0.0.0" else address,  # noqa: S104 - how ipmitool says "none"
        mac=row.get("MAC Address", "").lower(),
        source=row.get("IP Address Source", ""),
        vlan="" if vlan == "Disabled" else vlan,
    )


FACT = FactSpec(
    name="bmc",
    title="management controller",
    command="if [ -e /dev/ipmi0 ]; then echo 'device: /dev/ipmi0'; timeout 5 ipmitool lan print 1; fi",
    parse=parse,
    model=Bmc,
    strict=False,  # a controller without a network address is still a controller
    seconds=5,
)
