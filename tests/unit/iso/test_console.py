"""Keys, terminals and dialogs of the console, on pseudo-terminals as a machine would have them."""

import json
import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from iso.environment import ask, command_line, network, setup, status, terminal
from iso.environment.countdown import Settings
from iso.environment.keys import FUNCTION, OTHER, Keys
from iso.environment.machine import Link

CODES = [(code, key) for key, codes in FUNCTION.items() for code in codes]


@pytest.mark.parametrize(("code", "key"), CODES)
def test_a_key_is_known_by_each_of_its_codes(code: str, key: str) -> None:
    assert Keys().feed(code.encode()) == [key]


@given(st.lists(st.sampled_from(CODES), max_size=6), st.data())
def test_codes_that_come_in_pieces_are_the_same_keys(
    pressed: list[tuple[str, str]], data: st.DataObject
) -> None:
    sent = "".join(code for code, _ in pressed).encode()
    keys, found, at = Keys(), [], 0
    while at < len(sent):
        size = data.draw(st.integers(1, len(sent) - at))
        found += keys.feed(sent[at : at + size])
        at += size
    assert found == [key for _, key in pressed]


@given(st.binary(max_size=40))
def test_whatever_is_typed_ends_and_holds_nothing_long(typed: bytes) -> None:
    keys = Keys()
    keys.feed(typed)
    assert len(keys._held) <= 5
    assert keys.give_up() in ([], [OTHER])
    assert keys.feed(b"1") == ["F1"]


def test_escape_alone_is_a_key_too() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.give_up() == [OTHER]
    assert Keys().feed(b"\x1b[20~x") == [OTHER, OTHER]  # F9, then x


@pytest.fixture
def port() -> Iterator[tuple[int, Path]]:
    """A line's other end, and the device of this end."""
    far, near = os.openpty()
    name = Path(os.ttyname(near))
    yield far, name
    os.close(far)
    os.close(near)


def heard(far: int, until: str) -> str:
    text, end = "", time.monotonic() + 60
    while until not in text:
        assert time.monotonic() < end, f"{until!r} is not in {text!r}"
        if select.select([far], [], [], 1)[0]:
            text += os.read(far, 4096).decode()
    return text


def test_a_line_says_what_is_new_and_hears_keys(port: tuple[int, Path]) -> None:
    far, device = port
    line = terminal.Line(device)
    line.say(["machine"], "CTO-STATUS address=1 work=a")
    line.say(["machine"], "CTO-STATUS address=1 work=a")
    line.say(["machine"], "CTO-STATUS address=1 work=b")
    text = heard(far, "work=b")
    assert text.count("machine") == 1
    assert text.count("work=a") == 1
    os.write(far, b"2")
    select.select([line.descriptor], [], [], 60)
    assert line.pressed() == ["F2"]


def test_a_program_has_the_line_until_it_ends_and_the_line_is_ours_again(port: tuple[int, Path]) -> None:
    """The kernel hangs a terminal up with the session that had it: the console once died of that."""
    far, device = port
    line = terminal.Line(device)
    script = "import os; print(os.ttyname(0), os.tcgetpgrp(0) == os.getpid()); input('? ')"
    line.run([sys.executable, "-c", script], "Hello.", folder="/")
    assert line.busy
    text = heard(far, "? ")
    assert "Hello." in text
    assert f"{device} True" in text
    line.say(["x"], "CTO-STATUS work=x")  # not now
    os.write(far, b"done\n")
    end = time.monotonic() + 60
    while not line.ended():
        assert time.monotonic() < end
        time.sleep(0.01)
    line.say(["again"], "CTO-STATUS work=y")
    assert "work=x" not in heard(far, "work=y")
    os.write(far, b"1")
    select.select([line.descriptor], [], [], 60)
    assert line.pressed() == ["F1"]


def test_ports_that_are_not_there_are_left_out() -> None:
    assert terminal.lines(["nonexistent0"]) == []


def test_a_locked_image_has_no_shell() -> None:
    assert status.program("F4", Settings(locked=True)) == ([], "")
    assert status.program("F4", Settings())[0] == ["/bin/bash", "-l"]
    assert status.keys_of(Settings(locked=True)) == ("F1 network", "F2 set up", "F3 cto")
    assert status.program("F3", Settings(locked=True))[0][-1] == "--locked"
    assert status.program(OTHER, Settings()) == ([], "")


def test_a_dialogs_title_is_there_before_its_program() -> None:
    """Which may take seconds to load on a slow machine: an empty screen looks as if it had hung."""
    for key, part in (("F1", "Network"), ("F2", "Set up"), ("F3", "Commands of cto")):
        assert part in status.program(key, Settings())[1]


def test_what_a_dialog_says_is_broken_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    ask.say("  " + "word " * 40)
    ask.say("eth0   52:54:00:00:00:01  link")
    rows = capsys.readouterr().out.splitlines()
    assert max(map(len, rows)) < 80
    assert {row[:6] for row in rows[:-1]} == {"  word"}
    assert rows[-1] == "eth0   52:54:00:00:00:01  link"


def test_the_command_line_takes_commands_of_ours_only() -> None:
    assert command_line.understand("cto discover --seconds 3", locked=False) == ("discover", "--seconds", "3")
    assert command_line.understand("help", locked=True) == ("--help",)
    assert command_line.understand("", locked=True) == ()
    assert command_line.understand("setup init --help", locked=True) == ("setup", "init", "--help")
    with pytest.raises(ValueError, match="locked"):
        command_line.understand("validate -f /etc/cto/enroll.json", locked=True)
    with pytest.raises(ValueError, match="quot"):
        command_line.understand("'", locked=False)


LINK = Link("eno1", True, "52:54:00:00:00:01", ("10.0.0.5/24",))


def test_a_typed_address_is_checked_and_becomes_the_cards_first_file(tmp_path: Path) -> None:
    made = network.understand("10.0.0.9/24", "10.0.0.1", "10.0.0.53, 10.0.0.54", LINK.mac)
    text = network.network(made)
    assert "MACAddress=52:54:00:00:00:01" in text
    assert "Gateway=10.0.0.1" in text
    assert "DNS=10.0.0.54" in text
    path = network.put(LINK, text, tmp_path)
    assert path.name == "05-cto-console-525400000001.network"  # before the image's own (10-, 80-)
    assert "DHCP=yes" in network.dhcp(LINK.mac)
    for address, gateway, dns in (
        ("10.0.0.9", "", ""),
        ("10.0.0.9/24", "10.1.0.1", ""),
        ("10.0.0.9/24", "", "x"),
    ):
        with pytest.raises(OperatorError) as caught:
            network.understand(address, gateway, dns, LINK.mac)
        assert caught.value.fix


def test_a_typed_controller_is_an_address_or_an_invitation() -> None:
    for text in ("10.0.0.5", "10.0.0.5:7443", "[fd00::1]:7443"):
        assert network.typed_address(text) == text
    for text in ("", "a b", "10.0.0"):
        with pytest.raises(OperatorError):
            network.typed_address(text)


def test_the_network_is_shown_card_by_card() -> None:
    rows = network.overview([LINK, Link("eno2", False, "52:54:00:00:00:02")])
    assert rows[2:] == [
        "eno1         52:54:00:00:00:01  link",
        "             10.0.0.5/24",
        "eno2         52:54:00:00:00:02  no link",
    ]
    assert "firmware" in network.overview([])[-1]


LSBLK = {  # composed, in the form of `lsblk -Jb -o PATH,FSTYPE,SIZE,LABEL,MODEL,MOUNTPOINT`
    "blockdevices": [
        {
            "path": "/dev/sda",
            "fstype": None,
            "size": 10**12,
            "label": None,
            "model": "Disk",
            "mountpoint": None,
        },
        {
            "path": "/dev/sdb",
            "fstype": None,
            "size": 8 * 10**9,
            "label": None,
            "model": "Stick ",
            "mountpoint": None,
            "children": [
                {
                    "path": "/dev/sdb1",
                    "fstype": "ext4",
                    "size": 8 * 10**9,
                    "label": "KEEP",
                    "model": None,
                    "mountpoint": "/mnt",
                },
                {
                    "path": "/dev/sdb2",
                    "fstype": "vfat",
                    "size": 10**6,
                    "label": None,
                    "model": None,
                    "mountpoint": None,
                },
            ],
        },
        {
            "path": "/dev/vdb",
            "fstype": "xfs",
            "size": 10**9,
            "label": None,
            "model": None,
            "mountpoint": None,
        },
    ]
}


def test_sticks_are_what_keeps_files_over_a_restart() -> None:
    found = setup.volumes(json.dumps(LSBLK))
    assert [(item.path, item.model, item.mounted) for item in found] == [
        ("/dev/sdb1", "Stick", "/mnt"),
        ("/dev/vdb", "", ""),
    ]
    assert str(found[0]) == "/dev/sdb1  8 GB  ext4  KEEP"


def test_site_files_are_the_images_own_and_the_sticks(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in ("b.yaml", "a.yml", "notes.txt"):
        (stick / name).touch()
    carried = tmp_path / "site.yaml"
    assert [path.name for path in setup.site_files(stick, carried)] == ["a.yml", "b.yaml"]
    carried.touch()
    assert setup.site_files(stick, carried)[0] == carried
