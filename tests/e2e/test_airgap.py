"""From a publisher to machines that no network reaches: the image travels as a bundle, and `apply` fetches nothing.

The controller and its lab live in a network namespace that has a loopback interface and nothing else.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.e2e.harness import CTO, LabHome, ProgramHome, environment

URL = "https://192.0.2.1/image/carried/metal-amd64.raw.zst"  # an address, so that no name is looked up
PASSPHRASE = {"CTO_VENDOR_PASSPHRASE": "correct horse battery"}


class Isolated(LabHome):
    """A controller that can reach its machines and nobody else."""

    def __init__(self, home: Path, namespace: str) -> None:
        super().__init__(home)
        self.namespace = namespace

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *CTO, *args],
            env=environment(self.home, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"cto-gap-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture
def gap(namespace: str) -> Iterator[Isolated]:
    lab = Isolated(Path(tempfile.mkdtemp(prefix="cto-gap-")), namespace)
    lab.up("1", seed=str(lab.home))
    yield lab
    lab.cto("lab", "down")
    shutil.rmtree(lab.home, ignore_errors=True)


def take_image(lab: Isolated) -> Path:
    """The site file then names the image as one for real machines does; returns the file."""
    documents = list(yaml.safe_load_all(lab.site.read_text()))
    image = next(each for each in documents if each["kind"] == "Organization")["spec"]["defaults"]["image"]
    path = Path(image["url"].removeprefix("file://"))
    image["url"] = URL
    del image["sha256"]
    lab.site.write_text(yaml.safe_dump_all(documents))
    return path


@pytest.mark.root
@pytest.mark.needs("ip")
def test_sneakernet(gap: Isolated, tmp_path: Path):
    publisher, connected = ProgramHome(tmp_path / "publisher"), ProgramHome(tmp_path / "connected")
    feed, keys, stick = str(tmp_path / "feed"), str(tmp_path / "keys"), str(tmp_path / "bundle")
    image = take_image(gap)
    refused = gap.cto("apply", "-f", str(gap.site), "--yes")
    assert refused.returncode != 0
    assert "192.0.2.1" in refused.stdout + refused.stderr

    publisher.ok("vendor", "release", "init", feed, "--keys", keys, env=PASSPHRASE)
    what = (
        "--channel",
        "stable",
        "--kind",
        "talos",
        "--version",
        "1.13.9",
        "--file",
        str(image),
        "--url",
        URL,
    )
    publisher.ok("vendor", "release", "add", feed, "--keys", keys, *what, env=PASSPHRASE)
    root = f"{feed}/metadata/1.root.json"
    connected.ok("update", "trust", root, "--url", feed, "--yes")
    connected.ok("bundle", "create", stick, "--release", "talos-1.13.9")
    gap.ok("update", "trust", root, "--url", "https://releases.example/feed", "--yes")
    shutil.rmtree(feed)
    image.unlink()

    assert "is whole" in gap.ok("bundle", "verify", stick).stdout
    gap.ok("bundle", "import", stick)
    shutil.rmtree(stick)
    (release,) = json.loads(gap.ok("update", "list", "--output", "json").stdout)
    assert release["staged_at"]
    gap.apply()
    (node,) = gap.rows("SELECT name, state FROM nodes")
    assert node["state"] == "ready"
    (staged,) = gap.home.glob("updates/files/*/*")
    assert gap.rows("SELECT sha256 FROM images WHERE url = ?", URL) == [{"sha256": staged.name}]
    assert not [
        path for path in (gap.home / "images").iterdir() if path.suffix == ".zst"
    ]  # no copy of its own
    gap.check_store()
