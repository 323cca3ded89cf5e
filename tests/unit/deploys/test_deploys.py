"""The deploys on a machine that is a shell and a file: what they check, change, and leave alone."""

import hashlib
from typing import Any

import pytest

from controller.app.ports import RunnerEvent

pytestmark = pytest.mark.needs("dd", "sha256sum", "zstd", "tail")

MIB = 1024 * 1024


def result(events: list[RunnerEvent]) -> dict[str, Any]:
    assert events[-1].kind == "result", events[-1]
    return dict(events[-1].data)


def error(events: list[RunnerEvent]) -> dict[str, Any]:
    assert events[-1].kind == "error", events[-1]
    return dict(events[-1].data)


def operations(events: list[RunnerEvent]) -> dict[str, bool]:
    return {e.data["name"]: e.data["changed"] for e in events if e.kind == "operation"}


async def test_prepare_clears_both_ends_and_nothing_between(deploys) -> None:
    disk = deploys.machine.disk
    events = await deploys.run("prepare", may_hold_data=True)
    assert result(events)["changed"] is True
    data = disk.read_bytes()
    assert data[:MIB] == data[-MIB:] == bytes(MIB)
    assert data[MIB:-MIB] == b"\xaa" * (len(data) - 2 * MIB)
    assert deploys.machine.log[:2] == ["wipefs -a /dev/shm/part1", f"wipefs -a {disk}"]
    assert operations(events) == {"Stop what uses the disk": False, "Clear the disk": True}


async def test_prepare_twice_changes_nothing_the_second_time(deploys) -> None:
    await deploys.run("prepare", may_hold_data=True)
    before = (deploys.machine.disk.stat().st_mtime_ns, deploys.machine.log)
    events = await deploys.run("prepare")
    assert result(events)["changed"] is False
    assert set(operations(events).values()) == {False}
    assert (deploys.machine.disk.stat().st_mtime_ns, deploys.machine.log) == before


async def test_a_dry_run_lists_commands_and_runs_none(deploys) -> None:
    before = hashlib.sha256(deploys.machine.disk.read_bytes()).digest()
    found = result(await deploys.run("prepare", may_hold_data=True, dry_run=True))
    commands = [c for o in found["data"]["operations"] for c in o["commands"]]
    assert any(c.startswith("wipefs -a") for c in commands)
    assert hashlib.sha256(deploys.machine.disk.read_bytes()).digest() == before
    assert deploys.machine.log == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"serial": "OTHER"}, "serial number OTHER (planned S1)"),
        ({"size": 4 * MIB}, "size"),
        ({"wwn": "0x9999"}, "WWID"),
        ({"serial": None}, "serial number none"),
        ({"ro": True}, "read-only"),
        ({"log-sec": 4096}, "sectors of 4096"),
        ({"type": "part"}, "not a disk"),
        ({"children": [{"path": "/dev/x1", "type": "part", "mountpoints": ["/srv"]}]}, "mounted at /srv"),
    ],
)
async def test_prepare_touches_no_other_disk_than_the_planned_one(deploys, changes: Any, says: str) -> None:
    before = hashlib.sha256(deploys.machine.disk.read_bytes()).digest()
    deploys.machine.write("lsblk.json", **changes)
    for deploy in ({"deploy": "prepare", "may_hold_data": True}, {"deploy": "reset"}):
        found = error(await deploys.run(**deploy))
        assert says in found["what"]
        assert found["slug"] == "check-failed"
        assert found["fix"]
    assert hashlib.sha256(deploys.machine.disk.read_bytes()).digest() == before
    assert deploys.machine.log == []


async def test_a_disk_that_got_data_after_the_plan_is_left_alone(deploys) -> None:
    found = error(await deploys.run("prepare"))
    assert "holds GPT, /dev/shm/part1 (ext4)" in found["what"]
    assert "disk.wipe: true" in found["fix"]
    assert deploys.machine.log == []


async def test_a_disk_that_is_not_there(deploys) -> None:
    missing = {**deploys.machine.identity, "path": "/dev/disk/by-id/wwn-gone"}
    assert "not there" in error(await deploys.run("prepare", disk=missing))["what"]


async def test_what_uses_the_disk_is_stopped_users_first(deploys) -> None:
    part = {"path": "/dev/md0", "type": "raid1", "mountpoints": [None]}
    part["children"] = [{"path": "/dev/vg/a b", "type": "lvm", "fstype": "swap", "mountpoints": ["[SWAP]"]}]
    deploys.machine.write("lsblk.json", children=[part])
    result(await deploys.run("prepare", may_hold_data=True))
    assert deploys.machine.log[:3] == [
        "swapoff /dev/vg/a b",
        "dmsetup remove /dev/vg/a b",
        "mdadm --stop /dev/md0",
    ]


async def test_a_command_that_fails_is_told_with_its_words_and_stops_the_rest(deploys) -> None:
    (deploys.machine.folder / "wipefs-fails").touch()
    events = await deploys.run("prepare", may_hold_data=True)
    assert error(events)["slug"] == "command-failed"
    assert "Device busy" in error(events)["what"]
    assert [e.data["ok"] for e in events if e.kind == "operation"] == [True, False]
    assert deploys.machine.disk.read_bytes()[:MIB] == b"\xaa" * MIB


async def test_missing_tools_are_named(deploys) -> None:
    deploys.only_with("sh", "dd", "sha256sum", "tail", "lsblk", "wipefs")
    assert "lacks blockdev, zstd" in error(await deploys.run("prepare", may_hold_data=True))["what"]


@pytest.mark.parametrize("deploy", ["prepare", "check"])
async def test_tools_for_a_later_step_are_asked_for_at_once(deploys, deploy) -> None:
    """Before the disk is cleared: a machine that can't make STATE would be left with nothing."""
    wanted = ["mkfs.nothing", "dd"]
    if deploy == "check":
        [finding] = (await deploys.run("check", tools=wanted))[-1].data["data"]["findings"]
    else:
        finding = error(await deploys.run("prepare", may_hold_data=True, tools=wanted))
    assert "lacks mkfs.nothing" in finding["what"]
    assert deploys.machine.disk.read_bytes()[:MIB] == b"\xaa" * MIB


async def test_a_machine_without_a_shell_is_told_apart_from_our_bugs(deploys) -> None:
    deploys.only_with("dd")
    assert error(await deploys.run("prepare"))["slug"] == "unreachable"


async def test_reset_wipes_and_says_what_is_left(deploys) -> None:
    found = result(await deploys.run("reset"))
    assert found["data"] == {"holds": ""}
    assert deploys.machine.disk.read_bytes()[:MIB] == bytes(MIB)


async def test_check_changes_nothing_and_gives_findings(deploys) -> None:
    found = result(await deploys.run("check", disk={**deploys.machine.identity, "serial": "OTHER"}))
    assert found["changed"] is False
    (finding,) = found["data"]["findings"]
    assert "another disk" in finding["what"]
    assert deploys.machine.log == []
