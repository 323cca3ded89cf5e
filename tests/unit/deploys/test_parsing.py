"""What lsblk and efibootmgr print, read without ever failing; and the registry of deploys."""

import importlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def efi():
    return importlib.import_module("deploys.efi")


@pytest.fixture(scope="module")
def disk():
    return importlib.import_module("deploys.disk")


@pytest.fixture(scope="module")
def registry():
    return importlib.import_module("deploys.registry")


def test_boot_entries_of_a_server(efi) -> None:
    text = (ROOT / "tests" / "fixtures" / "deploys" / "efibootmgr-v.txt").read_text()
    found = efi.parse(text.split("---\n", 1)[1].splitlines())
    assert found.uefi
    assert found.problem == ""
    assert found.order == ("0003", "0000", "0001", "0002")
    assert found.next == "0001"
    assert [e.number for e in found.entries] == ["0000", "0001", "0002", "0003"]
    (talos,) = found.named("Talos")
    assert "8f3c1d2e-0001-4a5b-9c6d-112233445566" in talos.path


@pytest.mark.parametrize(
    ("lines", "uefi", "problem"),
    [
        (["cto-no-uefi"], False, ""),
        (["cto-no-efibootmgr"], True, "not installed"),
        (["EFI variables are not supported on this system."], True, "not supported"),
        ([], True, "no entries"),
        (["BootOrder: ", "BootCurrent: 0001"], True, "no entries"),
    ],
)
def test_when_there_is_nothing_to_read(efi, lines, uefi: bool, problem: str) -> None:
    found = efi.parse(lines)
    assert found.uefi is uefi
    assert problem in found.problem
    assert bool(found.problem) is bool(problem)


@given(
    st.lists(st.text(max_size=80) | st.from_regex(r"Boot[0-9A-F]{0,5}[* ] .{0,20}\t?.{0,20}", fullmatch=True))
)
def test_any_lines_are_read(lines) -> None:
    importlib.import_module("deploys.efi").parse(lines)


@given(
    st.text(max_size=300)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(["blockdevices", "type", "size", "children", "ro", "log-sec", "mountpoints"]),
                c,
                max_size=5,
            )
        ),
    ).map(json.dumps)
)
def test_any_output_of_lsblk_is_read(text: str) -> None:
    module = importlib.import_module("deploys.disk")
    state = module.parse(text)
    assert state.missing or state.size >= 0


def test_deep_and_odd_json_is_no_disk(disk) -> None:
    assert disk.parse("[" * 100_000).missing
    assert disk.parse('{"blockdevices": []}').missing
    assert disk.parse("lsblk: /dev/x: not a block device").missing == "lsblk: /dev/x: not a block device"


@pytest.mark.parametrize(
    ("planned", "now"),
    [
        ("naa.5000c500", "0x5000c500"),
        ("wwn-0x5000C500", "0x5000c500"),
        ("eui.0025", "eui.0025"),
        ("nvme-eui.0025", "eui.0025"),
    ],
)
def test_one_wwid_in_several_spellings(disk, planned: str, now: str) -> None:
    identity = disk.DiskIdentity(path="/dev/sda", size=4 << 20, wwid=planned)
    disk.require(identity, disk.DiskState(size=4 << 20, wwn=now, sector=512))


@pytest.mark.parametrize("path", ["/etc/passwd", "sda", "/dev/sda; reboot", "/dev/$(x)", "/dev/a b", ""])
def test_a_disk_is_a_path_under_dev(disk, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        disk.DiskIdentity(path=path, size=4 << 20)


def test_every_deploy_has_a_title_data_and_a_row_in_the_readme(registry) -> None:
    readme = (ROOT / "deploys" / "README.md").read_text()
    assert registry.names() == ("check", "prepare", "reset", "set_boot", "settings")
    for deploy in registry.all_deploys():
        assert deploy.title.endswith(".")
        assert deploy.data.model_config["extra"] == "forbid"
        assert f"`{deploy.slug}`" in readme


def test_only_deploys_of_this_folder_can_be_named(registry) -> None:
    from inventory.errors import InvariantError

    for name in ("os", "facts", "disk", "../x", "", "registry"):
        with pytest.raises(InvariantError):
            registry.find(name)
