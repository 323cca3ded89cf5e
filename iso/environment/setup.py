"""The dialog behind F2: finds the site file and a stick to keep the record on, then runs `cto setup init`.

Mounts a stick and starts a program; installs nothing itself. `python -m` on a terminal.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from iso.environment import ask
from iso.environment.here import DURABLE
from iso.environment.screen import size

CARRIED = Path("/etc/cto/site.yaml")
MOUNT = Path("/mnt")
_COLUMNS = "PATH,FSTYPE,SIZE,LABEL,MODEL,MOUNTPOINT"


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system that a stick may have."""

    path: str
    kind: str
    size: int
    label: str
    model: str
    mounted: str

    def __str__(self) -> str:
        return f"{self.path}  {size(self.size)}  {self.kind}  {self.label or self.model}".strip()


def volumes(lsblk: str) -> tuple[Volume, ...]:
    """Out of lsblk's answer, those that keep files over a restart."""
    found: list[Volume] = []

    def walk(row: dict[str, object], model: str) -> None:
        model = str(row.get("model") or model)
        if row.get("fstype") in DURABLE:
            found.append(
                Volume(
                    str(row["path"]),
                    str(row["fstype"]),
                    int(str(row["size"])),
                    str(row.get("label") or ""),
                    model.strip(),
                    str(row.get("mountpoint") or ""),
                )
            )
        children = row.get("children")
        for child in children if isinstance(children, list) else ():
            walk(child, model)

    for row in json.loads(lsblk)["blockdevices"]:
        walk(row, "")
    return tuple(found)


def site_files(folder: Path, carried: Path = CARRIED) -> tuple[Path, ...]:
    """What may be a site file: the image's own, then what lies at the top of the stick."""
    own = [carried] if carried.exists() else []
    return (*own, *sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml")))


def keep_place(folder: Path) -> Path:
    """Where the record goes on the stick; where one is, the next run goes on with it."""
    return folder / "cto"


def _mount(volume: Volume, place: Path = MOUNT) -> Path | None:
    """The stick's folder; None with the reason told."""
    if volume.mounted:
        return Path(volume.mounted)
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", "nosuid,nodev", volume.path, str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        ask.say(f"  {volume.path} can't be mounted: {done.stderr.strip()}")
        return None
    return place


def _pick(items: Sequence[object], question: str, show: Callable[[object], str] = str) -> object:
    return items[0] if len(items) == 1 else ask.choose(question, items, show)


def dialog() -> None:
    ask.say()
    listed = subprocess.run(["lsblk", "-Jb", "-o", _COLUMNS], capture_output=True, text=True, check=True)
    found = volumes(listed.stdout)
    if not found:
        ask.say(
            "There is no stick to keep the fleet's record and the cluster's secrets on, and they must "
            f"outlive the restart. Put one in that is formatted with {DURABLE[0]}, then press F2 again."
        )
        return
    ask.say("Where shall the fleet's record and the cluster's secrets be kept?")
    ask.say("Whoever has that stick has the cluster.")
    volume = ask.choose("stick", found, str)
    folder = _mount(volume)
    if folder is None:
        return
    files = site_files(folder)
    if not files:
        ask.say(
            f"There is no site file (*.yaml) at the top of {volume.path}. Put one there; examples/ has some."
        )
        return
    file = _pick(files, "site file")
    keep = keep_place(folder)
    ask.say()
    subprocess.run(["cto", "setup", "init", "-f", str(file), "--keep", str(keep)], check=False)


def main() -> None:
    try:
        dialog()
        ask.say()
        ask.wait()
    except ask.Left:
        return


if __name__ == "__main__":
    main()
