"""What the console shows, from files as the kernel has them and on a real qrencode's answer."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso.environment import enrolling, machine, qr, screen, status
from iso.environment.countdown import Countdown, Settings

ADDRESSES = (
    '[{"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},'
    '{"ifname": "eth0", "addr_info": [{"local": "10.0.0.5", "prefixlen": 24, "scope": "global"},'
    '{"local": "fe80::1", "prefixlen": 64, "scope": "link"}]}]'
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's files, composed: UEFI with Secure Boot, one disk and a card reader, one card with a link."""

    def put(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    put("sys/class/dmi/id/sys_vendor", "Dell Inc.\n")
    put("sys/class/dmi/id/product_name", "PowerEdge R660\n")
    put("sys/class/dmi/id/product_serial", "ABC123\n")
    put("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n")
    put(machine._SECURE_BOOT, "\6\0\0\0\1")
    put("sys/block/nvme0n1/size", "2000409264\n")
    put("sys/block/nvme0n1/device/model", "Lab NVMe\n")
    put("sys/block/sdb/size", "0\n")
    put("sys/block/loop0/size", "8\n")
    put("sys/class/net/eth0/device/vendor", "x")
    put("sys/class/net/eth0/carrier", "1\n")
    put("sys/class/net/eth0/address", "52:54:00:00:00:01\n")
    put("sys/class/net/lo/carrier", "1\n")
    put("proc/net/tcp", "  sl local\n   0: 00000000:0016 0:0 0A x\n   1: 0500000A:0016 0100000A:C0DE 01 x\n")
    return tmp_path


def test_the_machine_is_read_from_the_kernels_files(root: Path) -> None:
    found = machine.machine(root)
    assert found == machine.Machine(
        "Dell Inc.", "PowerEdge R660", "ABC123", 16 * 2**30, "UEFI", secure_boot=True
    )
    assert machine.disks(root) == (machine.Disk("nvme0n1", 2000409264 * 512, "Lab NVMe"),)
    assert machine.links(root, ADDRESSES) == (
        machine.Link("eth0", True, "52:54:00:00:00:01", ("10.0.0.5/24",)),
    )
    assert machine.controllers(root) == 1


def test_a_machine_without_any_of_it_says_less_and_does_not_fail(tmp_path: Path) -> None:
    assert machine.machine(tmp_path).firmware == "BIOS"
    assert machine.disks(tmp_path) == ()
    assert machine.links(tmp_path, "not json") == ()
    assert machine.controllers(tmp_path) is None
    assert machine.writing(tmp_path) is None


def test_a_dd_that_writes_a_disk_is_seen_with_its_share(tmp_path: Path) -> None:
    process = tmp_path / "proc/42"
    (process / "fd").mkdir(parents=True)
    (process / "fdinfo").mkdir()
    (process / "comm").write_text("dd\n")
    (process / "fd/1").symlink_to("/dev/vda")
    (process / "fdinfo/1").write_text("pos:\t430000000\nflags:\t01\n")
    (process / "environ").write_bytes(b"PATH=/bin\0CTO_TOTAL=1000000000\0")
    found = machine.writing(tmp_path)
    assert found == machine.Writing("vda", 430000000, 1000000000)
    assert screen.work(1, found) == "installing 43 %: 430 MB written to vda"
    (process / "environ").write_bytes(b"PATH=/bin\0")
    assert screen.work(1, machine.writing(tmp_path)) == "installing: 430 MB written to vda"
    assert screen.work(1, None) == "a controller is connected"
    assert screen.work(0, None) == "waiting for a controller"
    assert screen.work(None, None) == "starting"


def shown(root: Path) -> screen.Status:
    return screen.Status(
        machine=machine.machine(root),
        name="cto-12345678",
        fingerprint="SHA256:" + "x" * 43,
        words="KEY able baker charlie dog easy fox",
        url="ssh://root@10.0.0.5/#SHA256:" + "x" * 43,
        disks=machine.disks(root),
        links=machine.links(root, ADDRESSES),
        keys=("F1 overview",),
        qr=tuple("█" * 37 for _ in range(19)),
    )


def test_the_screen_has_everything_in_80_by_25(root: Path) -> None:
    lines = screen.draw(shown(root))
    text = "\n".join(lines)
    assert len(lines) <= 25
    assert max(len(line) for line in lines) <= 80
    for part in ("Dell Inc. PowerEdge R660", "ABC123", "16.0 GiB", "nvme0n1", "1.02 TB", "10.0.0.5/24", "F1"):
        assert part in text
    assert "KEY able baker charlie dog easy fox" in text
    assert "Secure Boot is on. Talos will not start:" in text
    assert "turn it off in the firmware." in text  # it used to be cut off at the edge
    assert sum("█" * 37 in line for line in lines) == 19


@given(st.text(max_size=200), st.integers(0, 40))
def test_hostile_firmware_strings_stay_inside_the_screen(text: str, count: int) -> None:
    hostile = screen.Status(
        machine=machine.Machine(text, text, text, 1, "BIOS", secure_boot=False),
        name="n",
        fingerprint="f",
        words="KEY a",
        disks=tuple(machine.Disk(text, 1, text) for _ in range(count)),
        links=tuple(machine.Link(text, True, text, (text,)) for _ in range(count)),
    )
    lines = screen.draw(hostile)
    assert len(lines) <= 25
    assert all(len(line) <= 80 and (line.isprintable() or not line) for line in lines)
    assert "\n" not in screen.line(hostile)


def test_the_line_for_programs_has_words_and_address(root: Path) -> None:
    line = screen.line(replace(shown(root), work="installing 4 %: x"))
    assert "address=10.0.0.5 " in line
    assert "words=able-baker-charlie-dog-easy-fox" in line
    assert "work=installing_4_%:_x" in line


def test_the_longest_address_still_fits_beside_the_text() -> None:
    """Version 4 of the code is 37 columns and 19 rows with its quiet zone."""
    url = "ssh://root@255.255.255.255/#SHA256:" + "x" * 43
    assert len(url) <= 78


@pytest.mark.needs("qrencode", "zbarimg")
def test_half_blocks_are_the_modules(tmp_path: Path) -> None:
    """The drawn characters, painted as pixels, are read by a reader of others."""
    text = "ssh://root@10.0.0.5/#SHA256:" + "y" * 43
    lines = qr.lines(qr.modules(text))
    assert (len(lines), len(lines[0])) == (19, 37)
    halves = {" ": "00", "▀": "10", "▄": "01", "█": "11"}
    rows = [[halves[char][half] for char in line] for line in lines for half in (0, 1)]
    zoomed = [[bit for bit in row for _ in range(4)] for row in rows for _ in range(4)]
    picture = f"P1\n{len(zoomed[0])} {len(zoomed)}\n" + "\n".join(
        " ".join("0" if bit == "1" else "1" for bit in row) for row in zoomed
    )
    (tmp_path / "code.pbm").write_text(picture)
    read = subprocess.run(
        ["zbarimg", "-q", "--raw", tmp_path / "code.pbm"], capture_output=True, text=True, check=False
    )
    assert read.stdout.strip() == text


def test_the_screen_says_how_enrolment_goes(root: Path) -> None:
    waiting = enrolling.Enrolling("waiting", "waiting for approval at 10.0.0.5:7443", "ENROLL a b c d e f")
    work = screen.work(0, None, waiting)
    status = replace(shown(root), enrolling=waiting, work=work)
    lines = screen.draw(status)
    assert lines.index("ENROLL a b c d e f") < lines.index(
        "compare these words on the controller: cto enroll list"
    )
    assert lines[-1] == "F1 overview"
    assert "> waiting for approval at 10.0.0.5:7443" in lines
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 25
    assert screen.line(status).endswith(
        "work=waiting_for_approval_at_10.0.0.5:7443 enroll=waiting:a-b-c-d-e-f"
    )
    approved = enrolling.Enrolling("approved", "approved as berlin-1")
    assert screen.work(0, None, approved) == "waiting for a controller"
    assert screen.how(replace(status, enrolling=approved)) == ("approved as berlin-1",)
    refused = enrolling.Enrolling("refused", "refused", fix="see the controller's audit log")
    assert screen.how(replace(status, enrolling=refused)) == ("see the controller's audit log",)
    assert "restarts by itself" in screen.how(replace(status, writing=True))[0]
    looking = enrolling.Enrolling("looking", "looking for the controller")
    assert "cto enroll open" in screen.how(replace(status, enrolling=looking))[0]


LONGEST = "ENROLL " + " ".join(["spectral"] * 6)
TEXTS = (
    "no controller announces itself here: type its address, or open it: cto enroll open",
    "refused: the token is for another site; a machine of this site has to be started from its own image",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("secure", [True, False])
def test_nothing_of_the_enrolment_is_cut_off(root: Path, text: str, secure: bool) -> None:
    """Whatever takes more than a row goes on in the next; the words to compare are always whole."""
    status = shown(root)
    status = replace(status, machine=replace(status.machine, secure_boot=secure), words=LONGEST)
    for state in (
        enrolling.Enrolling("waiting", text, LONGEST),
        enrolling.Enrolling("refused", text, fix="start anew with another token to ask again"),
        enrolling.Enrolling("looking", text),
    ):
        lines = screen.draw(replace(status, enrolling=state, work=screen.work(0, None, state)))
        below = " ".join(line.strip() for line in lines[19:])
        assert len(lines) == 25
        assert max(map(len, lines)) < 80
        assert text in below
        assert state.fix in below
        assert (LONGEST in lines[22:]) == (state.words != "")
        assert "~" not in below


def test_the_state_of_enrolment_is_what_its_program_wrote(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert enrolling.read(path) is None
    path.write_text('{"state": "looking", "text": "looking for the controller", "words": "", "node": null}')
    assert enrolling.read(path) == enrolling.Enrolling("looking", "looking for the controller")
    for broken in ("{", "[]", '"x"'):
        path.write_text(broken)
        assert enrolling.read(path) is None


def test_serial_ports_come_from_the_kernels_command_line() -> None:
    assert status.serial_ports("quiet console=ttyS1,115200 console=tty0 console=ttyS1") == ("ttyS1",)


def test_settings_have_defaults(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert status.settings(none, none) == Settings()
    (tmp_path / "s").write_text('{"node": "n", "countdown": 9, "locked": true}')
    assert status.settings(tmp_path / "s", none) == Settings("n", countdown=9, locked=True)
    assert status.settings(none, tmp_path / "s").enrolls


def test_a_countdown_can_be_stopped_and_goes_on(tmp_path: Path) -> None:
    countdown = Countdown(Settings("berlin-1", countdown=60), now=100.0, go=tmp_path / "go")
    assert countdown.tick(130.0) == "berlin-1: will be installed; starting in 30 s, any key stops"
    assert countdown.press("F2")
    assert countdown.tick(1000.0) == "berlin-1: stopped; Enter goes on"
    assert not countdown.over
    again = Countdown(Settings("berlin-1", countdown=60), now=2000.0, go=tmp_path / "go")
    assert again.tick(9000.0) == "berlin-1: stopped; Enter goes on"  # a console that was started anew
    assert not countdown.press("F4")  # once it is stopped, keys are what they always are
    assert countdown.press("ENTER")
    assert countdown.tick(1000.1) == ""
    assert (tmp_path / "go").exists()
    assert Countdown(Settings("berlin-1", countdown=60), now=0.0, go=tmp_path / "go").over


def test_an_image_for_any_machine_counts_nothing_down() -> None:
    countdown = Countdown(Settings(), now=0.0, go=Path("/nonexistent/go"))
    assert countdown.over
    assert countdown.tick(0.0) == ""
    assert not countdown.press("F4")


def test_an_image_that_enrols_counts_down_too(tmp_path: Path) -> None:
    countdown = Countdown(Settings(site="berlin", countdown=9, enrolls=True), now=0.0, go=tmp_path / "go")
    assert countdown.tick(1.0) == "berlin: will ask to be enrolled; starting in 8 s, any key stops"
    assert countdown.tick(9.0) == ""
    assert (tmp_path / "go").exists()
