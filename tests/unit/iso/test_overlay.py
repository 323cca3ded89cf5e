"""The static files of the environment: shell that parses, units that exist, nothing that lets anybody else in."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from iso.build import product
from iso.render import units

OVERLAY = Path(str(files("iso.environment") / "overlay"))
SHELL = [Path(str(files("iso.environment") / "init")), *sorted((OVERLAY / "usr/lib/cto").iterdir())]


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    assert script.read_text().startswith("#!/bin/sh\n")


def test_sshd_lets_in_keys_only_and_forwards_nothing() -> None:
    rows = [line.split(None, 1) for line in (OVERLAY / "etc/ssh/sshd_config").read_text().splitlines()]
    chosen = {row[0]: row[1] for row in rows if row and not row[0].startswith("#")}
    assert chosen["PasswordAuthentication"] == "no"
    assert chosen["KbdInteractiveAuthentication"] == "no"
    assert chosen["PermitRootLogin"] == "prohibit-password"
    assert chosen["AllowUsers"] == "root"
    assert chosen["AllowTcpForwarding"] == "no"


def test_the_image_itself_lets_nobody_in() -> None:
    for name in ("authorized_keys", "user_ca"):
        text = (OVERLAY / "etc/cto" / name).read_text()
        assert [line for line in text.splitlines() if line and not line.startswith("#")] == []


def test_our_units_run_programs_that_are_there() -> None:
    for unit in (OVERLAY / "etc/systemd/system").glob("*.service"):
        for program in re.findall(r"^ExecStart(?:Pre)?=(/usr/lib/cto/\S+)", unit.read_text(), re.MULTILINE):
            assert (OVERLAY / program.removeprefix("/")).is_file(), program


def test_what_is_enabled_and_ours_has_a_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    product._overlay(root)
    ours = {path.name for path in (root / "etc/systemd/system").glob("*.service")}
    enabled = {name for names in units.ENABLED.values() for name in names}
    assert {name for name in enabled if name.startswith("cto-")} <= ours
    assert (root / "usr/bin/cto").stat().st_mode & 0o777 == 0o755
    assert (root / "etc/ssh/sshd_config").stat().st_mode & 0o777 == 0o644
