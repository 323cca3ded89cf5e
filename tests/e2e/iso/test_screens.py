"""The screens of a machine that enrols or is written, as pixels: nothing is cut off, garbled or half drawn.

States are put where the enrolling program puts them, by its own code; the image then draws what a person sees.
Pixels are held against the text: one character looks the same wherever it stands, and no two look alike.
"""

import base64
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from iso.qemu.spec import Disk, VmSpec
from iso.qemu.vm import Vm
from tests.e2e.harness import until
from tests.e2e.iso.conftest import GIB, STATUS, Image, blank_disk, direct, free_port, identity

COLUMNS, ROWS = 80, 25
BLANK = b"\x00\x20\xff"
WORDS = "ENROLL spectral tungsten wardrobe universe thousand possible"  # six long ones
AT = "192.168.98.254:7443"
STATES = {
    "looking": ("no controller announces itself here: type its address, or open it: cto enroll open", "", ""),
    "waiting": (f"waiting for approval by {AT}", WORDS, ""),
    "refused": ("refused: the token was used for another machine", "", "make another: cto token create"),
    "rejected": ("rejected by the operator", "", "start anew with another token to ask again"),
    "approved": ("approved as berlin-cp-1: waiting to be installed", "", ""),
}
MAKE = """
from pathlib import Path
from iso.enroll.client import State
from iso.environment.enroll import STATE, Reporter
for name, (text, words, fix) in {states!r}.items():
    folder = Path('/run/states') / name
    (folder / STATE).parent.mkdir(parents=True)
    Reporter(folder)(State(name, text, words=words, fix=fix))
"""
# What an installation looks like from inside: one dd to a disk, which says how much it will be.
WRITES = "(head -c 43000000 /dev/zero; sleep 600) | CTO_TOTAL=100000000 dd of=/dev/vda bs=1M"


@dataclass(frozen=True)
class Shown:
    """One screen: its characters (code page 437, row by row), their pixels, and the picture."""

    text: bytes
    cells: list[bytes]
    picture: Path

    @property
    def lines(self) -> list[str]:
        rows = (self.text[at : at + COLUMNS] for at in range(0, len(self.text), COLUMNS))
        return [row.decode("cp437").rstrip("\0 ") for row in rows]


@dataclass(frozen=True)
class Machine:
    vm: Vm
    image: Image
    port: int
    folder: Path

    def says(self, command: str) -> str:
        options = (
            "StrictHostKeyChecking=no",
            f"UserKnownHostsFile={self.folder / 'known'}",
            "LogLevel=ERROR",
        )
        argv = ["ssh", "-F", "none", "-i", self.image.home.home / "ssh" / "id_ed25519", "-p", str(self.port)]
        argv += [part for option in options for part in ("-o", option)]
        done = subprocess.run(
            [*argv, "root@127.0.0.1", command], capture_output=True, text=True, timeout=300, check=True
        )
        return done.stdout

    def text(self) -> bytes:
        return base64.b64decode(self.says("base64 /dev/vcs1"))

    def screen(self, wanted: str) -> Shown:
        """The whole screen, once `wanted` is on it and nothing was drawn while it was looked at."""

        def look() -> Shown | None:
            before = self.text()
            if wanted.encode("cp437") not in before:
                return None
            picture = self.vm.screenshot(self.folder / "screen.png")
            self.vm.qmp("screendump", filename=str(self.folder / "screen.ppm"))
            pixels = cells((self.folder / "screen.ppm").read_bytes())
            return Shown(before, pixels, picture) if self.text() == before else None

        return until(look, f"{wanted!r} is on the screen", seconds=300, pause=1)


def cells(ppm: bytes) -> list[bytes]:
    """The pixels of each character, from a picture as QEMU writes it."""
    kind, size, _, pixels = ppm.split(b"\n", 3)
    width, height = map(int, size.split())
    assert (kind, width % COLUMNS, height % ROWS) == (b"P6", 0, 0)
    wide, high = width // COLUMNS, height // ROWS
    found = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            starts = ((row * high + line) * width + column * wide for line in range(high))
            found.append(b"".join(pixels[at * 3 : (at + wide) * 3] for at in starts))
    return found


@pytest.fixture(scope="module")
def machine(image: Image, start: Callable[..., Vm], tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder, port = tmp_path_factory.mktemp("screens"), free_port()
    disks = (Disk(blank_disk(folder / "disk", 4 * GIB), "virtio", "DISK-1"),)
    vm = start(VmSpec("screen", identity("screen"), direct=direct(image.files), disks=disks, ssh_port=port))
    vm.wait_for(STATUS)
    made = Machine(vm, image, port, folder)
    made.says(f"cd / && PYTHONPATH= python3 -c {shlex.quote(MAKE.format(states=STATES))}")
    return made


def test_every_screen_is_whole_and_its_code_can_be_read(machine: Machine) -> None:
    glyphs: dict[int, bytes] = {}
    for name, (text, words, fix) in STATES.items():
        machine.says(
            f"cp /run/states/{name}/run/cto/enroll-state.json /run/cto/new && mv /run/cto/new /run/cto/enroll-state.json"
        )
        shown = machine.screen(f"> {text}"[:40] if name != "approved" else text)
        below = " ".join(line.strip() for line in shown.lines[19:])
        for part in (text, words, fix, "KEY ", "host key SHA256:", "F4 shell"):
            assert part in below, f"{part!r} is not in {below!r}"
        holds_together(shown, glyphs)
    machine.says("rm /run/cto/enroll-state.json")
    machine.says(f"setsid sh -c {shlex.quote(WRITES)} </dev/null >/dev/null 2>&1 & sleep 1")
    shown = machine.screen("installing 43 %")
    assert "> installing 43 %: 43 MB written to vda" in shown.lines
    holds_together(shown, glyphs)
    assert len(glyphs) > 50  # there was something to compare


def holds_together(shown: Shown, glyphs: dict[int, bytes]) -> None:
    """The pixels are the text's, and the code is one that a reader of others reads."""
    for at, (char, pixels) in enumerate(zip(shown.text, shown.cells, strict=True)):
        code = 0x20 if char in BLANK else char
        where = f"{bytes([char])!r} at row {at // COLUMNS}, column {at % COLUMNS}"
        assert glyphs.setdefault(code, pixels) == pixels, where
    assert len(set(glyphs.values())) == len(glyphs)
    read = subprocess.run(
        ["zbarimg", "-q", "--raw", shown.picture], capture_output=True, text=True, check=False
    )
    assert read.stdout.strip().startswith("ssh://root@10.0.2.15/#SHA256:")
