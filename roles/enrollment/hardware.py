"""Hardware ids as enrolment knows them: which are one machine's, and in which form they are compared.

Claims, all of them: a machine that has a token may claim any serial number. Reads nothing.
"""

from collections.abc import Mapping

from facts.machine.platform import is_filled

# One machine's alone, the strongest first. A claim of the same by another key is a conflict.
IDENTITIES = ("tpm_ek", "uuid", "serial")
# What a site file may say of a node's machine; `mac` is one of several network cards.
EXPECTED = (*IDENTITIES, "mac")
SSH_PORT = "ssh_port"  # said only where it is not 22
_MACS = "mac"


def identities(claimed: Mapping[str, str]) -> dict[str, str]:
    """Those of `IDENTITIES` that are claimed and filled in, in the form they are compared in."""
    return {kind: normal(kind, claimed[kind]) for kind in IDENTITIES if is_filled(claimed.get(kind, ""))}


def macs(claimed: Mapping[str, str]) -> tuple[str, ...]:
    """`mac0`, `mac1`, …: the network cards."""
    named = sorted(kind for kind in claimed if kind.startswith(_MACS) and kind[len(_MACS) :].isdigit())
    return tuple(normal("mac", claimed[kind]) for kind in named)


def normal(kind: str, value: str) -> str:
    """Serial numbers keep their case; the others are numbers in disguise."""
    text = value.strip()
    if kind == "mac":
        return text.lower().replace("-", ":")
    return text if kind == "serial" else text.lower()


def matches(expected: Mapping[str, str], claimed: Mapping[str, str]) -> tuple[str, ...]:
    """The kinds of `expected` that the claim fulfils; none if it contradicts any of them."""
    own = identities(claimed)
    told = {**{kind: (value,) for kind, value in own.items()}, _MACS: macs(claimed)}
    found = []
    for kind, value in expected.items():
        values = told.get(kind, ())
        if normal(kind, value) in values:
            found.append(kind)
        elif values:
            return ()
    return tuple(found)


def ssh_port(claimed: Mapping[str, str]) -> int:
    text = claimed.get(SSH_PORT, "")
    return int(text) if text.isdigit() and 0 < int(text[:6]) < 65536 else 22
