"""What is in the image, as CycloneDX 1.5 JSON: Debian packages and Python distributions."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

_NAMESPACE = uuid.UUID("c51f33a9-4f6e-5ac5-9a0e-0d9a2d3e7c44")  # ours; makes the serial number repeatable


@dataclass(frozen=True, slots=True, order=True)
class Component:
    kind: str  # deb, pypi
    name: str
    version: str
    arch: str = ""

    @property
    def purl(self) -> str:
        name, version = quote(self.name), quote(self.version, safe="")
        if self.kind == "deb":
            return f"pkg:deb/debian/{name}@{version}?arch={self.arch}&distro=bookworm"
        return f"pkg:{self.kind}/{name.lower()}@{version}"


def parse_dpkg(status: str) -> tuple[Component, ...]:
    """Installed packages of a dpkg status file."""
    found = []
    for block in status.split("\n\n"):
        row = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(" ")
        )
        if row.get("Status", "").endswith(" installed"):
            found.append(Component("deb", row["Package"], row["Version"], row.get("Architecture", "")))
    return tuple(sorted(found))


def document(components: Iterable[Component], *, product: str, version: str, epoch: int) -> str:
    """The SBOM's text: the same for the same components and time."""
    rows = sorted(components)
    listed = "\n".join(item.purl for item in rows)
    serial = uuid.uuid5(_NAMESPACE, f"{product}@{version}\n{listed}\n{epoch}")
    body = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat(),
            "component": {"type": "operating-system", "name": product, "version": version},
        },
        "components": [
            {
                "type": "library",
                "name": item.name,
                "version": item.version,
                "purl": item.purl,
                "bom-ref": item.purl,
            }
            for item in rows
        ],
    }
    return json.dumps(body, indent=1, sort_keys=True) + "\n"
