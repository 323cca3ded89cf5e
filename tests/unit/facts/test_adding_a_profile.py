"""A new hardware profile is one file and one fixture: with nothing else it is listed, matched and used."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests/fixtures"
PROFILE = """\
title: Acme Rocket 9
arch: amd64
provenance: composed
sources: ["Acme Rocket technical guide"]
match:
  - {field: vendor, pattern: '^Acme$', score: 20, required: true}
  - {field: product, pattern: '^Rocket 9', score: 70, required: true}
disk: {order: [nvme, ssd]}
extensions: [siderolabs/rocket-firmware]
kernel_modules: [rocket]
sysctls: {net.rocket.fins: "4"}
"""
SITE = """\
apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec: {timezone: UTC}
---
apiVersion: fleet/v1
kind: Site
metadata: {name: kn}
spec: {}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {name: kn}
spec:
  site: kn
  kubernetes: 1.36.3
  defaults: {image: {talos: 1.13.9}}
  nodes: [{name: kn-1, role: appliance, address: 10.0.0.5}]
"""
CTO = ("-c", "from controller.cli.main import main; raise SystemExit(main())")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The room of the facts with one more profile and its fixture; all other rooms are the ones here."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "facts", tmp_path / "facts", ignore=ignore)
    shutil.copytree(FIXTURES / "hardware", tmp_path / "tests/fixtures/hardware")
    shutil.copytree(ROOT / "tests/unit/facts", tmp_path / "tests/unit/facts", ignore=ignore)
    (tmp_path / "facts/profiles/acme-rocket-9.yaml").write_text(PROFILE)
    machine = json.loads((FIXTURES / "hardware/dell-r660.json").read_text())
    machine["facts"]["platform"] |= {"vendor": "Acme", "product": "Rocket 9", "board": "R9"}
    (tmp_path / "tests/fixtures/hardware/acme-rocket-9.json").write_text(json.dumps(machine))
    (tmp_path / "kn.yaml").write_text(SITE)
    return tmp_path


@pytest.fixture
def run(copy: Path) -> Run:
    def call(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"PYTHONPATH": f"{copy}{os.pathsep}{ROOT}", "CTO_HOME": str(copy / "home")}
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=copy, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def test_it_is_listed_matched_and_used(run: Run) -> None:
    listed = run(*CTO, "hardware", "list").stdout
    row = next(line for line in listed.splitlines() if line.startswith("acme-rocket-9"))
    assert "Acme Rocket 9" in row
    assert "rocket-firmware" in row
    facts = "tests/fixtures/hardware/acme-rocket-9.json"
    matched = run(*CTO, "hardware", "match", "--facts", facts, "--output", "json").stdout
    found = json.loads(matched)
    assert (found["profile"], found["score"], found["warnings"]) == ("acme-rocket-9", 90, [])
    assert found["reasons"] == ["vendor is 'Acme' (+20)", "product is 'Rocket 9' (+70)"]

    run(*CTO, "secrets", "import", "kn", FIXTURES / "roles/bundle.yaml")
    render = ("machineconfig", "render", "--site", "kn.yaml", "--node", "kn-1", "--facts", facts)
    text = run(*CTO, *render).stdout
    assert "name: rocket" in text
    assert 'net.rocket.fins: "4"' in text
    checked = "from roles import schematic; print(schematic.predict(('siderolabs/rocket-firmware',), ('talos.config=metal-iso',)).id)"
    expected = subprocess.run(
        [sys.executable, "-c", checked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"/metal-installer/{expected.stdout.strip()}:v1.13.9" in text


def test_the_checks_of_all_profiles_hold_for_it_too(run: Run, copy: Path) -> None:
    tests = (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "tests/unit/facts/test_hardware.py",
    )
    done = run(*tests)
    assert "passed" in done.stdout
    (copy / "tests/fixtures/hardware/acme-rocket-9.json").unlink()
    assert "acme-rocket-9" in run(*tests, code=1).stdout
