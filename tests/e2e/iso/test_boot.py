"""The image is booted and looked at: by firmware of either kind, from CD and from a stick, over SSH and on its screen."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inventory.openssh import parse_public_key
from inventory.words import key_words
from iso.qemu.bridge import Bridge
from iso.qemu.spec import Disk, VmSpec
from iso.qemu.vm import Vm
from tests.e2e.harness import CTO, Done, environment, told, until
from tests.e2e.iso.conftest import GIB, STATUS, Image, blank_disk, direct, identity, site_text


@dataclass(frozen=True)
class Booted:
    vm: Vm
    image: Image
    bridge: Bridge
    name: str
    address: str
    fingerprint: str
    words: str
    host_key: str

    def cto(self, *args: str) -> Done:
        """The program, on the machine's network."""
        return subprocess.run(
            [*self.bridge.inside, *CTO, *args],
            env=environment(self.image.home.home),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def ok(self, *args: str) -> str:
        done = self.cto(*args)
        assert done.returncode == 0, told(args, done, "failed")
        return done.stdout

    def ssh(self, command: str, *, key: Path | None = None) -> "subprocess.CompletedProcess[str]":
        known = self.vm.folder / "known_hosts"
        known.write_text(f"{self.address} {self.host_key}\n")
        options = [
            f"UserKnownHostsFile={known}",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
            "IdentitiesOnly=yes",
        ]
        identity_file = key or self.image.home.home / "ssh" / "id_ed25519"
        return subprocess.run(
            [*self.bridge.inside, "ssh", "-F", "none", "-i", identity_file]
            + [part for option in options for part in ("-o", option)]
            + [f"root@{self.address}", command],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def says(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(scope="module")
def booted(
    image: Image, bridge: Bridge, start: Callable[..., Vm], tmp_path_factory: pytest.TempPathFactory
) -> Booted:
    """One machine for all questions that do not change it; its firmware is skipped, the image is the same."""
    folder = tmp_path_factory.mktemp("disks")
    disks = (
        Disk(blank_disk(folder / "nvme", 16 * GIB), "nvme", "NVME-0042"),
        Disk(blank_disk(folder / "virtio", 4 * GIB), "virtio", "VIRTIO-7"),
        Disk(blank_disk(folder / "4kn", 64 * GIB), "nvme", "NVME-4KN", sector=4096),
        Disk(blank_disk(folder / "stick", GIB), "usb", "USB-STICK"),
    )
    vm = start(
        VmSpec("seen", identity("seen"), direct=direct(image.files), disks=disks, tap=bridge.tap("tap1")),
        prefix=bridge.inside,
    )
    found = vm.wait_for(STATUS)
    name, address, fingerprint, words = found.groups()
    scan = [*bridge.inside, "ssh-keyscan", "-T", "60", "-t", "ed25519", address]
    line = subprocess.run(scan, capture_output=True, text=True, check=True, timeout=120).stdout
    key = " ".join(next(row for row in line.splitlines() if not row.startswith("#")).split()[1:3])
    return Booted(vm, image, bridge, name, address, fingerprint, words, key)


def test_the_console_shows_what_the_host_key_is(booted: Booted) -> None:
    assert parse_public_key(booted.host_key).fingerprint == booted.fingerprint
    assert key_words(booted.host_key).split()[1:] == booted.words.split("-")
    assert f"KEY {booted.words.replace('-', ' ')}" in booted.vm.serial()


def test_a_phone_reads_the_code_on_the_screen(booted: Booted, tmp_path: Path) -> None:
    shot = booted.vm.screenshot(tmp_path / "screen.png")
    read = subprocess.run(
        ["zbarimg", "-q", "--raw", shot], capture_output=True, text=True, check=False
    ).stdout
    assert read.strip() == f"ssh://root@{booted.address}/#{booted.fingerprint}"


def on_screen(booted: Booted, text: str) -> str:
    """What is on the machine's first console, once `text` is."""

    def look() -> str | None:
        raw = booted.says("fold -w 80 /dev/vcs1 | tr -c '[:print:]\\n' '?'")
        return raw if text in raw else None

    return until(look, f"{text!r} is on the screen", seconds=300, pause=2)


def test_function_keys_lead_to_network_set_up_command_line_and_shell(booted: Booted) -> None:
    """And back: afterwards the screen is what it was."""
    keys = "F1 network  F2 set up  F3 cto  F4 shell"
    shown = on_screen(booted, keys)
    assert "set up: F2 here" in shown
    assert f"KEY {booted.words.replace('-', ' ')}" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80
    booted.vm.press("f1")
    assert booted.vm.spec.mac in on_screen(booted, "d DHCP, s static address")
    booted.vm.press("ret")
    on_screen(booted, keys)
    booted.vm.press("f2")
    on_screen(booted, "There is no stick to keep")
    booted.vm.press("ret")
    on_screen(booted, keys)
    booted.vm.press("f3")
    on_screen(booted, "Enter alone goes back")
    booted.vm.press("minus", "minus", *"version", "ret")
    on_screen(booted, "cto 0.")
    booted.vm.press("ret")
    on_screen(booted, keys)
    booted.vm.press("f4")
    on_screen(booted, "Type exit to go back")
    booted.vm.press(*"exit", "ret")
    on_screen(booted, keys)


def test_the_same_keys_work_at_the_serial_port(booted: Booted) -> None:
    """By digits or by what terminals send; the screen goes on meanwhile, and nothing was restarted."""
    started = booted.says("systemctl show -p NRestarts --value cto-status.service")
    booted.vm.mark()
    booted.vm.type("\x1bOS")
    booted.vm.wait_for("Type exit to go back")
    booted.vm.type("echo $((6*7))$((6*7)); exit\r")
    booted.vm.wait_for("4242")
    booted.vm.wait_for(STATUS)  # it is said again once the line is the console's again
    booted.vm.mark()
    booted.vm.type("1")
    booted.vm.wait_for("d DHCP, s static address")
    booted.vm.type("x\r\r")
    booted.vm.wait_for(STATUS)
    assert booted.says("systemctl show -p NRestarts --value cto-status.service") == started


def test_an_address_is_set_at_the_serial_port_and_given_back_to_dhcp(booted: Booted) -> None:
    """The one that it has, so that the other tests still find the machine."""
    booted.vm.mark()
    booted.vm.type("1")
    booted.vm.wait_for("d DHCP, s static address")
    booted.vm.type("s\r")
    booted.vm.wait_for("address and prefix length")
    booted.vm.type(f"{booted.address}\r")
    booted.vm.wait_for("write it as 10.0.0.5/24")
    booted.vm.mark()
    booted.vm.type(f"{booted.address}/24\r\r\r")
    booted.vm.wait_for(rf"has {re.escape(booted.address)}/24")
    written = booted.says("cat /etc/systemd/network/05-cto-console-*.network")
    assert f"Address={booted.address}/24" in written
    assert f"MACAddress={booted.vm.spec.mac}" in written
    booted.vm.mark()
    booted.vm.type("d\r")
    booted.vm.wait_for(rf"has {re.escape(booted.address)}/24")
    assert "DHCP=yes" in booted.says("cat /etc/systemd/network/05-cto-console-*.network")
    booted.vm.type("\r")
    booted.vm.wait_for(STATUS)


def test_a_controller_hears_it_and_trusts_it_by_its_words(booted: Booted) -> None:
    seen = [
        json.loads(line) for line in booted.ok("discover", "--seconds", "6", "--output", "json").splitlines()
    ]
    found = seen[-1]["seen"][0]
    assert found["instance"] == booted.name
    assert found["addresses"] == [booted.address]
    assert found["port"] == 22
    assert booted.name == f"cto-{found['enroll_id']}"


def test_its_facts_are_what_the_machine_was_made_of(booted: Booted) -> None:
    booted.ok("node", "add", "seen", "--address", booted.address, "--host-key", booted.host_key, "--replace")
    gathered = json.loads(booted.ok("facts", "gather", "--node", "seen", "--output", "json"))
    assert gathered["problems"] == {}
    text = booted.ok("facts", "show", "seen", "--output", "json")
    expected = identity("seen")
    for value in (expected.uuid, expected.vendor, expected.product, expected.serial, "NVME-0042", "VIRTIO-7"):
        assert value in text, f"{value} is not in {text[:3000]}"
    assert booted.vm.spec.mac in text


def test_a_disk_with_large_sectors_is_refused_with_the_reason(booted: Booted, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(site_text("seen", booted.address, 22, {"talos": "1.13.9"}, disk={"serial": "NVME-4KN"}))
    booted.ok("node", "add", "seen", "--address", booted.address, "--host-key", booted.host_key, "--replace")
    told_ = booted.cto("plan", "-f", str(site))
    assert "4096-byte logical sectors" in told_.stdout + told_.stderr, told(
        ("plan",), told_, "says nothing of it"
    )


WRITE = "cto iso write --image /run/image --yes $D"
BROKEN_OFF = f"""
{WRITE} --output json >/run/told 2>/run/errors & P=$!
until grep -q '"write"' /run/told; do sleep 0.1; done
kill -INT $P; wait $P; echo status=$?; cat /run/errors
"""


def test_a_stick_is_written_when_nothing_uses_it(booted: Booted) -> None:
    """On the machine itself, since it has one: removable, by USB, with everything that a kernel knows of it."""
    stick = booted.says("lsblk -dno PATH,TRAN | awk '$2 == \"usb\" {print $1}'").strip()

    def do(command: str) -> str:
        done = booted.ssh(f"D={stick}; {command}")
        return f"{done.stdout}{done.stderr}"

    try:
        is_refused_while_used(stick, do)
        is_written(stick, do)
    finally:  # other tests look for sticks
        do("umount /run/stick; swapoff $D; wipefs -qa $D; rm -f /run/image")


def is_refused_while_used(stick: str, do: Callable[[str], str]) -> None:
    do("head -c 1M /dev/urandom >/run/image; truncate -s 128M /run/image")
    do("mkfs.ext4 -q -L PHOTOS $D && mkdir -p /run/stick && mount $D /run/stick")
    assert "it is in use: mounted at /run/stick" in do(WRITE)
    do("umount /run/stick; mkswap $D && swapon $D")
    assert f"swapoff {stick}" in do(WRITE)
    do("swapoff $D")
    assert "this is a loop, not a whole disk" in do(WRITE.replace("$D", "/dev/loop0"))
    assert "this disk is not removable" in do(WRITE.replace("$D", "/dev/nvme0n1"))


def is_written(stick: str, do: Callable[[str], str]) -> None:
    stopped = do(BROKEN_OFF)
    assert "status=130" in stopped
    assert f"{stick} holds a" in stopped  # a part of the image, or all of it unread: as far as it came
    assert "holds the image" in do(WRITE)
    assert do("cmp -n $((128 << 20)) /run/image $D && echo same").strip() == "same"


def test_only_the_controllers_key_opens_it(booted: Booted, tmp_path: Path) -> None:
    stranger = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    refused = booted.ssh("true", key=stranger)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_nothing_else_listens(booted: Booted) -> None:
    rows = [line.split() for line in booted.says("ss -Hlntu").splitlines()]
    ends = {(row[0], row[4]) for row in rows if not row[4].startswith(("127.", "[::1]"))}
    ports = {(kind, end.rsplit(":", 1)[1]) for kind, end in ends}
    assert ports <= {("tcp", "22"), ("udp", "5353"), ("udp", "68"), ("udp", "546")}


def test_the_environment_is_well(booted: Booted) -> None:
    assert booted.says("systemctl --failed --no-legend").strip() == ""
    assert booted.says("stat -c %U:%a /etc/cto/authorized_keys").strip() == "root:644"
    assert "tmpfs" not in booted.says("findmnt -n -o SOURCE /")
    missing = booted.says(
        "for tool in sgdisk parted mkfs.xfs mkfs.ext4 mkfs.vfat zstd smartctl nvme ethtool dmidecode ipmitool "
        "efibootmgr lshw lspci lsscsi kexec tpm2_pcrread cto; do command -v $tool >/dev/null || echo $tool; done"
    )
    assert missing == ""


def test_our_own_program_runs_on_it(booted: Booted) -> None:
    assert booted.says("cto --version").startswith("cto ")


def test_it_has_memory_to_spare(booted: Booted) -> None:
    free = re.search(r"MemAvailable:\s+(\d+)", booted.says("cat /proc/meminfo"))
    assert free is not None
    assert int(free[1]) > 500 * 1024


@pytest.mark.parametrize(("firmware", "stick"), [("bios", True), ("secure", False)])
def test_firmware_boots_the_image(  # from CD without Secure Boot: the tests of installing do that
    image: Image, start: Callable[..., Vm], firmware: str, stick: bool, tmp_path: Path
) -> None:
    # An empty disk falls through to the medium, but a BIOS tries one hard disk only, and a stick is one.
    empty = () if stick and firmware == "bios" else (Disk(blank_disk(tmp_path / "disk"), "virtio", "EMPTY"),)
    spec = VmSpec(
        f"{firmware}{'-stick' if stick else ''}",
        identity(firmware),
        firmware=firmware,  # type: ignore[arg-type]
        medium=image.iso,
        stick=stick,
        disks=empty,
    )
    vm = start(spec)
    vm.wait_for(STATUS)
    said = vm.serial()
    assert ("UEFI" if firmware != "bios" else "BIOS") in said
    if firmware == "secure":
        assert "Secure Boot" in said
    vm.cut_power()
