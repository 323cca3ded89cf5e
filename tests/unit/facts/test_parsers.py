"""Each fact's parser on real and composed outputs, and on hostile ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.machine import (
    bmc,
    boot,
    clock,
    cpu,
    dimms,
    disk_ids,
    disks,
    gpus,
    links,
    memory,
    nics,
    os,
    platform,
    smart,
    tpm,
)
from facts.registry import machine_facts
from facts.spec import FactError, FactSpec

FIXTURES = Path(__file__).parents[2] / "fixtures/facts"
EACH = pytest.mark.parametrize("spec", machine_facts(), ids=lambda spec: spec.name)


def fixture(fact: str, machine: str = "dell-r660") -> str:
    return (FIXTURES / fact / f"{machine}.txt").read_text()


def survives(spec: FactSpec, text: str) -> bool:
    """A value of the right kind, or a FactError that says something; any other exception fails the test."""
    try:
        return isinstance(spec.parse(text), spec.model)
    except FactError as error:
        return bool(error.what)


def test_os():
    found = os.parse(fixture("os"))
    assert (found.id, found.version, found.kernel, found.arch) == ("debian", "12", "6.1.0-25-amd64", "x86_64")
    assert found.hostname == "cto-0a1b2c3d"


def test_cpu():
    found = cpu.parse(fixture("cpu"))
    assert (found.sockets, found.cores, found.threads, found.hypervisor) == (2, 64, 128, "")
    assert cpu.parse(fixture("cpu", "captured-vm")).hypervisor == "KVM"


def test_cpu_with_nested_groups_and_clusters():
    rows = [
        {"field": "Architecture:", "data": "aarch64", "children": [{"field": "Byte Order:", "data": "Little Endian"}]},
        {"field": "CPU(s):", "data": "4", "children": [{"field": "On-line CPU(s) list:", "data": "0-3"}]},
        {"field": "Vendor ID:", "data": "ARM", "children": [
            {"field": "Model name:", "data": "Cortex-A76", "children": [
                {"field": "Thread(s) per core:", "data": "1"},
                {"field": "Core(s) per cluster:", "data": "4"},
                {"field": "Socket(s):", "data": "-"},
            ]},
        ]},
    ]  # fmt: skip
    found = cpu.parse(json.dumps({"lscpu": rows}))
    assert (found.model, found.sockets, found.cores, found.threads) == ("Cortex-A76", 1, 4, 4)


def test_memory():
    assert memory.parse("MemTotal:       16384 kB\nSwapTotal: 8 kB\n") == memory.Memory(
        16384 * 1024, 8 * 1024
    )


def test_dimms():
    found = dimms.parse(fixture("dimms"))
    assert (len(found.items), found.slots) == (8, 9)
    first = found.items[0]
    assert (first.slot, first.size, first.type, first.speed, first.ecc) == (
        "A1",
        32 * 1024**3,
        "DDR5",
        4800,
        True,
    )


def test_dimms_on_a_board_without_smbios():
    assert dimms.parse(fixture("dimms", "raspberry-pi-5")) == dimms.Dimms(items=())


def test_disks():
    found = disks.parse(fixture("disks")).items
    assert [disk.name for disk in found] == ["nvme0n1", "nvme1n1", "sdz"]
    data = found[1]
    assert [volume.name for volume in data.volumes] == ["nvme1n1p1", "nvme1n1p2", "vg0-data"]
    assert (data.table, data.mounted, data.logical_sector) == ("gpt", False, 512)
    assert found[2].removable
    assert found[2].fstype == "iso9660"


def test_disks_leaves_out_what_is_no_disk():
    rows = [
        {"name": name, "type": "disk", "size": 1}
        for name in ("zram0", "ram1", "mmcblk0boot0", "nbd3", "fd0", "sda")
    ]
    rows += [{"name": "loop0", "type": "loop", "size": 1}, {"name": "sr0", "type": "rom", "size": 1}]
    assert [disk.name for disk in disks.parse(json.dumps({"blockdevices": rows})).items] == ["sda"]


def test_disks_of_older_lsblk():
    row = {"name": "sda", "type": "disk", "size": "1000", "rota": "1", "ro": "0", "rm": "0", "log-sec": "4096", "mountpoint": None,
           "children": [{"name": "sda1", "type": "part", "size": "10", "mountpoint": "/srv"}]}  # fmt: skip
    (disk,) = disks.parse(json.dumps({"blockdevices": [row]})).items
    assert (disk.size, disk.rotational, disk.read_only, disk.logical_sector, disk.mounted) == (
        1000,
        True,
        False,
        4096,
        True,
    )


def test_disks_sees_a_mount_behind_the_cap():
    children = [{"name": f"sda{i}", "type": "part", "size": 1, "mountpoints": [None]} for i in range(200)]
    children[-1]["mountpoints"] = ["/deep"]
    row = {"name": "sda", "type": "disk", "size": 1, "children": children}
    (disk,) = disks.parse(json.dumps({"blockdevices": [row]})).items
    assert disk.mounted
    assert (len(disk.volumes), disk.volumes_omitted) == (128, 72)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("sda; reboot", "/dev/sda"),
        ("sda", "/etc/passwd"),
        ("sda", "/dev/../etc/passwd"),
        ("sda", "/dev/sda x"),
        ("$(id)", ""),
        ("", ""),
    ],
)
def test_names_that_no_disk_has(name: str, path: str):
    row = {"name": name, "path": path, "type": "disk", "size": 1}
    with pytest.raises(FactError, match="no disk is called"):
        disks.parse(json.dumps({"blockdevices": [row]}))


def test_a_controller_with_a_folder_of_its_own():
    row = {"name": "cciss!c0d0", "path": "/dev/cciss/c0d0", "type": "disk", "size": 1}
    assert disks.parse(json.dumps({"blockdevices": [row]})).items[0].path == "/dev/cciss/c0d0"


def test_ten_thousand_disks_are_capped():
    rows = [{"name": f"sd{i}", "type": "disk", "size": 1} for i in range(10_000)]
    found = disks.parse(json.dumps({"blockdevices": rows}))
    assert (len(found.items), found.omitted) == (64, 9936)


def test_disk_ids():
    found = {each.name: each.ids for each in disk_ids.parse(fixture("disk_ids")).items}
    assert set(found) == {"nvme0n1", "nvme1n1", "sdz"}
    assert "nvme-eui.0050430000000001" in found["nvme0n1"]


def test_smart():
    found = smart.parse(fixture("smart")).items
    assert [each.path for each in found] == ["/dev/nvme0n1", "/dev/nvme1n1", "/dev/sdz"]
    assert found[0].passed is True
    assert (found[0].power_on_hours, found[0].temperature, found[2].reallocated) == (1210, 34, 0)


def test_smart_of_a_disk_that_has_none():
    assert smart.parse(fixture("smart", "captured-vm")) == smart.Smart(items=())
    assert smart.parse("") == smart.Smart(items=())


def test_smart_keeps_what_is_complete():
    whole = fixture("smart")
    assert len(smart.parse(whole[: len(whole) - 40]).items) == 2


def test_nics():
    found = nics.parse(fixture("nics")).items
    assert [nic.name for nic in found] == ["eno8303", "eno8403", "ens1f0np0", "bond0"]
    assert found[0].addresses == ("192.0.2.11/24",)
    assert (found[1].up, found[3].kind) == (False, "bond")


def test_links():
    found = {link.name: link for link in links.parse(fixture("links")).items}
    assert "lo" not in found
    assert (found["ens1f0np0"].driver, found["ens1f0np0"].speed, found["ens1f0np0"].slot) == (
        "ice",
        25000,
        "0000:31:00.0",
    )
    assert (found["eno8403"].carrier, found["bond0"].hardware) == (None, False)
    captured = {link.name: link for link in links.parse(fixture("links", "captured-vm")).items}
    assert (captured["eth0"].driver, captured["eth0"].speed, captured["eth0"].carrier) == (
        "virtio_net",
        0,
        True,
    )


def test_platform():
    found = platform.parse(fixture("platform"))
    assert (found.vendor, found.product, found.serial) == ("Dell Inc.", "PowerEdge R660", "SVCTAG1")


def test_platform_from_the_device_tree():
    found = platform.parse(fixture("platform", "raspberry-pi-5"))
    assert (found.vendor, found.device_tree) == ("", "Raspberry Pi 5 Model B Rev 1.0")
    assert found.serial == "10000000abcdef01"


def test_platform_without_what_the_maker_left_blank():
    text = "/sys/class/dmi/id/sys_vendor:To Be Filled By O.E.M.\n/sys/class/dmi/id/product_serial:Default string\n/sys/class/dmi/id/product_uuid:03000200-0400-0500-0006-000700080009"
    assert platform.parse(text) == platform.Platform()


def test_bmc():
    found = bmc.parse(fixture("bmc"))
    assert (found.present, found.address, found.mac) == (True, "192.0.2.201", "02:00:00:00:00:b0")
    assert bmc.parse("device: /dev/ipmi0\n") == bmc.Bmc(present=True)
    assert bmc.parse("") == bmc.Bmc(present=False)


def test_boot():
    found = boot.parse(fixture("boot"))
    assert (found.firmware, found.secure_boot, found.order) == ("uefi", False, ("0001", "0000"))
    assert found.entries[0] == boot.BootEntry("0000", True, "debian")
    assert boot.parse("firmware: uefi\nsecure-boot:   6   0   0   0   1\n").secure_boot is True
    assert boot.parse("firmware: bios\n").secure_boot is None


def test_tpm():
    assert tpm.parse("tpm0\n2\n") == tpm.Tpm(present=True, version="2")
    assert tpm.parse("tpm0\n") == tpm.Tpm(present=True)
    assert tpm.parse("") == tpm.Tpm(present=False)


def test_gpus():
    found = gpus.parse(fixture("gpus")).items
    assert [(each.vendor_id, each.device) for each in found] == [
        ("102b", "Integrated Matrox G200eW3 Graphics Controller"),
        ("10de", "AD104GL [L4]"),
    ]
    assert gpus.parse(fixture("gpus", "captured-vm")).items == ()


def test_clock():
    assert clock.parse("1764066000.500000000\n").epoch == 1764066000.5
    assert clock.parse("1764066000.%N\n").epoch == 1764066000


@EACH
@given(text=st.text())
@settings(max_examples=50)
def test_any_text_gives_a_value_or_a_fact_error(spec: FactSpec, text: str):
    assert survives(spec, text)


# Documents of the right shape with anything inside, which get past the first checks.
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def rows(*keys: str) -> st.SearchStrategy:
    known = st.dictionaries(st.sampled_from(keys), ANY_JSON, max_size=len(keys))
    return st.recursive(
        known,
        lambda inner: st.builds(
            lambda row, below: {**row, "children": below}, known, st.lists(inner, max_size=3)
        ),
        max_leaves=6,
    )


SHAPES = {
    "cpu": rows("field", "data", "children").flatmap(
        lambda row: st.just({"lscpu": [{"field": "CPU(s):", "data": "4"}, row]})
    ),
    "disks": rows("name", "type", "size", "mountpoints", "children", "log-sec", "rm").map(
        lambda row: {"blockdevices": [{**row, "type": "disk"}]}
    ),
    "smart": rows(
        "device", "smart_status", "ata_smart_attributes", "temperature", "nvme_smart_health_information_log"
    ),
    "nics": st.lists(rows("ifname", "address", "flags", "linkinfo", "addr_info", "mtu"), max_size=4),
}


@pytest.mark.parametrize("name", sorted(SHAPES))
@given(data=st.data())
@settings(max_examples=60)
def test_the_right_shape_with_hostile_values(name: str, data: st.DataObject):
    spec = next(each for each in machine_facts() if each.name == name)
    text = json.dumps(data.draw(SHAPES[name]), ensure_ascii=False)
    assert survives(spec, text)
