"""The parts of the build that need no root: sources, sticks, tools, command lines."""

import json
from pathlib import Path

import pytest

from inventory.errors import CommandFailed, OperatorError, RefusedError
from iso.build import distributions, image, packages, sources, stick, tools, trim
from iso.build.sources import Sources
from iso.qemu.spec import Disk, Identity, VmSpec, command


def test_only_debians_archives_of_the_suite_are_used(fixtures: Path) -> None:
    lines = sources.parse((fixtures / "iso/indextargets.txt").read_text(), "bookworm", "main")
    assert lines == (
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/debian/ bookworm-updates main",
        "deb http://mirror.example/debian-security/ bookworm-security main",
    )


def test_a_missing_tool_is_named_with_its_package() -> None:
    with pytest.raises(OperatorError, match="no-such-program") as caught:
        tools.require(["sh", "no-such-program"])
    assert "apt-get install" in caught.value.fix
    with pytest.raises(OperatorError) as caught:
        tools.require(["/nonexistent/cdboot.img"])
    assert "/nonexistent/cdboot.img" in caught.value.what


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(CommandFailed, match="status 3: out of luck"):
        tools.run(["sh", "-c", "echo out of luck; exit 3"])


def test_a_program_and_its_children_end_with_us(tmp_path: Path) -> None:
    """mmdebstrap told alone went on for minutes; told with its children it ends, and what was fetched is there."""
    script = f"trap 'touch {tmp_path}/told; exit 1' INT; echo ready; sleep 60 & wait; echo never"

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tools.run(["sh", "-c", script], said=stop)
    assert (tmp_path / "told").exists()


def test_a_broken_build_keeps_what_it_fetched(tmp_path: Path) -> None:
    archives = tmp_path / "root/var/cache/apt/archives"
    (archives / "partial").mkdir(parents=True)
    (archives / "a.deb").write_text("new")
    (archives / "b.deb").write_text("new")
    (archives / "partial/c.deb").write_text("half")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/b.deb").write_text("kept")
    packages.keep(tmp_path / "root", tmp_path / "cache")
    found = {path.name: path.read_text() for path in (tmp_path / "cache").iterdir()}
    assert found == {"a.deb": "new", "b.deb": "kept"}


def test_lines_come_as_they_are_said() -> None:
    heard: list[str] = []
    assert tools.run(["printf", "a\\nb\\n"], said=heard.append) == "a\nb\n"
    assert heard == ["a", "b"]


def test_hooks_that_sync_are_whole_hooks() -> None:
    line = packages.command(
        Path("/r"), Path("/c d"), Sources(("deb x y z",), ('Acquire::http::Proxy "p";',)), firmware=False
    )
    assert "--setup-hook=sync-in '/c d' /var/cache/apt/archives" in line
    assert '--aptopt=Acquire::http::Proxy "p";' in line
    assert line[-1] == "deb x y z"


def test_what_our_program_needs_is_found() -> None:
    found = distributions.needed()
    assert {"platform-in-a-box", "asyncssh", "cryptography", "pyinfra", "gevent"} <= set(found)
    assert not {"pytest", "mypy", "ruff", "playwright"} & set(found)


def test_shadow_says_nothing_of_the_day(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root:$y$x:19000:0:99999:7:::\ndaemon:*:19001:0:99999:7:::\n")
    trim._lock_root(tmp_path / "shadow")
    assert (tmp_path / "shadow").read_text() == "root:*:1:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n"


def test_checksums_of_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  other.iso\n{'1' * 64}  cto.iso\n")
    (tmp_path / "cto.cdx.json").write_text("{}")
    image._checksums(tmp_path / "cto.iso", "2" * 64)
    rows = dict(reversed(line.split("  ")) for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    assert rows["other.iso"] == "0" * 64
    assert rows["cto.iso"] == "2" * 64
    assert set(rows) == {"other.iso", "cto.iso", "cto.cdx.json"}


def listing(fixtures: Path, name: str) -> str:
    return json.dumps(json.loads((fixtures / "iso/lsblk.json").read_text())[name])


@pytest.mark.parametrize("name", ["free", "usb_ssd"])
def test_a_free_stick_is_taken(fixtures: Path, name: str) -> None:
    assert stick.choose(listing(fixtures, name), Path("/dev/x")).size > 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("system", "not removable"),
        ("mounted", "mounted at /media/holiday"),
        ("partition", "not a whole disk"),
        ("locked", "read-only"),
        ("swap", "swaps to it"),
        ("lvm", "in use by lvm /dev/mapper/vg-root"),
        ("crypt", "in use by crypt /dev/mapper/secret"),
        ("empty_slot", "no medium"),
    ],
)
def test_other_disks_are_refused(fixtures: Path, name: str, says: str) -> None:
    with pytest.raises(RefusedError, match=says) as caught:
        stick.choose(listing(fixtures, name), Path("/dev/x"))
    assert caught.value.fix
    assert caught.value.where == "/dev/x"


def test_what_is_on_a_stick_is_told(fixtures: Path) -> None:
    found = stick.choose(listing(fixtures, "photos"), Path("/dev/x"))
    assert found.contents == ("vfat HOLIDAY",)


def test_a_file_is_no_stick(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(RefusedError, match="no disk"):
        stick.look(tmp_path / "f")
    with pytest.raises(OperatorError, match="no such device"):
        stick.look(tmp_path / "g")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"x" * 9_000_000)
    (tmp_path / "stick").write_bytes(bytes(10_000_000))
    seen: list[tuple[int, int]] = []
    stick.write(tmp_path / "image", tmp_path / "stick", 10_000_000, done=lambda *now: seen.append(now))
    assert (tmp_path / "stick").read_bytes() == b"x" * 9_000_000 + bytes(1_000_000)
    assert seen[-1] == (18_000_000, 18_000_000)
    with pytest.raises(RefusedError, match="the stick 5"):
        stick.write(tmp_path / "image", tmp_path / "stick", 5, done=lambda *_: None)


def test_a_virtual_machine_is_what_its_spec_says(tmp_path: Path) -> None:
    identity = Identity("11111111-2222-3333-4444-555555555555", vendor="Lab, Inc.")
    spec = VmSpec(
        "vm",
        identity,
        firmware="secure",
        medium=tmp_path / "x.iso",
        disks=(Disk(tmp_path / "d", "nvme", "N1", sector=4096),),
    )
    line = " ".join(command(spec, tmp_path))
    assert "manufacturer=Lab,, Inc.," in line
    assert "q35,smm=on" in line
    assert "OVMF_CODE_4M.secboot.fd" in line
    assert "nvme,drive=d0,serial=N1,bootindex=1,logical_block_size=4096" in line
    assert "bootindex=9" in line
