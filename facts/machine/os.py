"""Which operating system answers: the bootstrap environment, or whatever else is on the machine."""

from dataclasses import dataclass, field

from facts.limits import word
from facts.spec import VOLATILE, FactError, FactSpec
from facts.sysfs import first, lines

_HOSTNAME = "/proc/sys/kernel/hostname"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Os:
    id: str  # "debian"
    version: str  # "12"
    name: str  # "Debian GNU/Linux 12 (bookworm)"
    kernel: str  # "6.1.0-25-amd64"
    arch: str  # "x86_64", "aarch64"
    hostname: str = field(default="", metadata=VOLATILE)
    boot_id: str = field(default="", metadata=VOLATILE)  # another one after every boot


def parse(text: str) -> Os:
    found = lines(text)
    uname = next((line.split() for line in text.splitlines() if line.startswith("Linux ")), [])
    if len(uname) != 3:
        raise FactError("uname did not say which kernel runs")
    release: dict[str, str] = {}
    for line in found.get("/etc/os-release", []):
        key, _, value = line.partition("=")
        release[key] = word(value.strip("\"'"))
    return Os(
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        name=release.get("PRETTY_NAME", ""),
        kernel=word(uname[1]),
        arch=word(uname[2]),
        hostname=first(found, _HOSTNAME),
        boot_id=first(found, _BOOT_ID),
    )


FACT = FactSpec(
    name="os",
    title="operating system that answers",
    command=f"grep -H . /etc/os-release {_HOSTNAME} {_BOOT_ID} 2>/dev/null; uname -srm",
    parse=parse,
    model=Os,
)
