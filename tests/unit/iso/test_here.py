"""A controller on the machine that it installs: what it may, and where it refuses."""

from pathlib import Path

import pytest

from controller.cli.commands.setup import choose
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Node
from iso.environment.here import Here, filesystem

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK7rjrcoOSNYN6z/5onoBSwkSJXHsr7LnjDgNf5fLaR0"
MOUNTS = "overlay / overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/sdb1 /mnt/my\\040stick ext4 rw 0 0\n"


def test_elsewhere_it_says_where_to_run_it(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="not a machine that was started") as caught:
        Here(tmp_path).host_key()
    assert "F4" in caught.value.fix


def test_it_lets_its_own_controller_in_once(tmp_path: Path) -> None:
    (tmp_path / "run/ssh").mkdir(parents=True)
    (tmp_path / "run/ssh/host_ed25519.pub").write_text(f"{KEY} comment\n")
    here = Here(tmp_path)
    assert here.host_key() == KEY
    here.let_in(KEY)
    here.let_in(KEY)
    keys = tmp_path / "run/cto/authorized_keys"
    assert keys.read_text() == f"{KEY}\n"
    assert keys.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/root", "overlay"), ("/run/x", "tmpfs"), ("/mnt/my stick/cto", "ext4"), ("/mnt", "overlay")],
)
def test_a_folder_is_on_the_nearest_file_system(folder: str, kind: str) -> None:
    assert filesystem(MOUNTS, Path(folder)) == kind


def test_what_would_be_lost_with_the_boot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/mounts").write_text(MOUNTS)
    Here(tmp_path).check_durable(Path("/mnt/my stick/cto"))
    with pytest.raises(RefusedError, match="it is on overlay"):
        Here(tmp_path).check_durable(Path("/root/cto"))


def node(name: str, address: str) -> Node:
    return Node(name, "s", "c", "appliance", address=address)  # type: ignore[arg-type]


def test_the_machine_is_the_node_with_its_address() -> None:
    nodes = {"a": node("a", "10.0.0.1"), "b": node("b", "10.0.0.2"), "c": node("c", "10.0.0.2")}
    assert choose(nodes, ("10.0.0.1",), None).name == "a"
    assert choose(nodes, ("10.0.0.2",), "c").name == "c"
    for name, says in (
        (None, "2 nodes of the site files fit"),
        ("a", "a of the site files has another"),
        ("x", "no site file"),
    ):
        with pytest.raises(OperatorError, match=says) as caught:
            choose(nodes, ("10.0.0.2",), name)
        assert caught.value.fix
