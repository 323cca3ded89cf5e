"""`cto plan` and `cto apply --until prepared` on a machine behind a jump host: stock sshd, stock tools.

The settings are files on a tmpfs and a kernel setting of the machine's own network namespace; the disk is a file.
"""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from controller.app.lab import KUBERNETES, TALOS
from iso.lab.image import write_image
from tests.e2e.harness import last_json
from tests.e2e.real.stage import DISK, FAR, JUMP, SERIAL, SIZE, Operator, Stage

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("sshd", "ssh-keygen", "ip", "ss", "unshare", "nsenter", "wipefs", "zstd"),
]
MIB = 1024 * 1024
MOTD, CONTENT = "/run/site/motd", 'it\'s $HOME `of` "ours"\n'
SYSCTL = "net.ipv4.conf.all.log_martians"


@pytest.fixture
def site(operator: Operator, tmp_path: Path) -> Path:
    image = write_image(tmp_path, TALOS, "amd64")
    node = {"name": "far-1", "role": "appliance", "address": FAR, "jump": JUMP}
    node["image"] = {"talos": TALOS, "url": image.path.as_uri(), "sha256": image.sha256}
    node["bootstrap"] = {
        "directories": {"/run/site": {}},
        "files": {MOTD: {"content": CONTENT, "mode": "0600"}},
        "lines": {"/run/site/list": ["a = 1", "b = 2"]},
        "sysctls": {SYSCTL: 1},
    }
    specs = {
        "Site": {"timezone": "Europe/Berlin"},
        "Cluster": {"site": "far", "kubernetes": KUBERNETES, "nodes": [node]},
    }
    documents = [
        {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": "far"}, "spec": spec}
        for kind, spec in specs.items()
    ]
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    operator.ok(
        "node", "add", "far-1", "--address", FAR, "--jump", JUMP, "--words", operator.stage.far_sshd.words
    )
    return path


def test_a_plan_tells_what_the_real_machine_is(operator: Operator, site: Path) -> None:
    (node,) = json.loads(operator.ok("plan", "-f", str(site), "--output", "json").stdout)["nodes"]
    assert node["disk"]["path"] == DISK
    assert node["disk"]["serial"] == SERIAL
    assert "only disk" in node["disk"]["reason"]
    assert node["change"] == "install"
    assert [step["step"] for step in node["steps"]][:3] == ["inspect", "prepare", "image"]
    shown = operator.ok("plan", "-f", str(site)).stdout
    assert "far-1" in shown
    assert DISK in shown


def test_it_is_made_ready_once_and_then_there_is_nothing_to_do(
    operator: Operator, stage: Stage, site: Path
) -> None:
    until = ("-f", str(site), "--until", "prepared")
    far = stage.far
    far.run("sh", "-c", f"printf old > {DISK} && truncate -s {SIZE} {DISK}")
    far.run("rm", "-rf", "/run/site")
    operator.ok("apply", *until, "--yes")
    assert far.run("cat", MOTD) == CONTENT
    assert far.run("stat", "-c", "%a", MOTD).strip() == "600"
    assert far.run("cat", "/run/site/list") == "a = 1\nb = 2\n"
    assert far.run("cat", f"/proc/sys/{SYSCTL.replace('.', '/')}").strip() == "1"
    first = far.run("sh", "-c", f"head -c {MIB} {DISK} | sha256sum").split()[0]
    assert first == hashlib.sha256(bytes(MIB)).hexdigest()
    assert json.loads(operator.ok("node", "show", "far-1", "--output", "json").stdout)["state"] == "prepared"

    assert "Nothing to do" in operator.ok("plan", *until).stdout
    before = far.run("stat", "-c", "%i %Y", MOTD)
    again = operator.ok("apply", *until, "--yes", "--output", "json")
    assert last_json(again.stdout)["state"] == "done"
    assert far.run("stat", "-c", "%i %Y", MOTD) == before

    far.run("rm", MOTD)
    operator.ok("apply", *until, "--yes")
    assert far.run("cat", MOTD) == CONTENT
