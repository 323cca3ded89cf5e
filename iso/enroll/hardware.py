"""The ids that a machine tells of itself, read from the kernel's files under any root.

Total: less is said where less is there, and nothing that the protocol has no form for.
"""

import re
from pathlib import Path

from facts.machine.platform import is_filled

_MAX = 10  # network cards; the protocol has room for 16 ids, and others are told besides
_FIT = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)  # no quote, no backslash
_DMI = {"vendor": "sys_vendor", "product": "product_name", "serial": "product_serial", "uuid": "product_uuid"}


def read(root: Path) -> dict[str, str]:
    found = {kind: _text(root / "sys/class/dmi/id" / name) for kind, name in _DMI.items()}
    found["serial"] = found["serial"] or _text(root / "proc/device-tree/serial-number")
    found["uuid"] = found["uuid"].lower()
    macs = [_text(card / "address") for card in sorted((root / "sys/class/net").glob("*")) if _is_card(card)]
    found |= {f"mac{number}": mac for number, mac in enumerate(macs[:_MAX])}
    return fit(found)


def fit(ids: dict[str, str]) -> dict[str, str]:
    """Those that are filled in and that the protocol can say."""
    return {kind: value for kind, value in ids.items() if is_filled(value) and _FIT.fullmatch(value)}


def _is_card(folder: Path) -> bool:
    return (folder / "device").exists()  # not the loopback, nor what programs made


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:256].decode("ascii", "replace").strip().strip("\0").strip()
    except OSError:
        return ""
