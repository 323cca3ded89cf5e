"""A home that has accepted a feed once, made once and copied for each test; and what must not change in it."""

import hashlib
import shutil
import sqlite3
from datetime import UTC, datetime

import pytest

from controller.cli.base import App
from controller.cli.main import run
from tests.peers_feed import Feed
from tests.unit.cli.conftest import Ran

IMAGE = b"an image" * 1000
URL = "https://factory.talos.dev/image/abc/v1.13.9/metal-amd64.raw.zst"


@pytest.fixture(scope="session")
def accepted(tmp_path_factory):
    """(feed at its second version, home that accepted it)."""
    folder = tmp_path_factory.mktemp("accepted")
    feed = Feed(folder / "feed")
    feed.release("1.13.8", 1)
    feed.publish()
    feed.release("1.13.9", 2, files={"metal-amd64.raw.zst": (IMAGE, URL)})
    feed.publish()
    app = App(home=folder / "home", environ={"USER": "ada"})
    words = ("trust", str(feed.first_root), "--url", str(feed.folder), "--yes")
    assert run(["update", *words], app) == 0
    assert run(["update", "check"], app) == 0
    return feed, folder / "home"


@pytest.fixture(scope="session")
def carried(accepted, tmp_path_factory):
    """(a bundle of the feed's newest release, a home that trusts the publisher and has seen nothing)."""
    feed, home = accepted
    folder = tmp_path_factory.mktemp("carried")
    assert run(["bundle", "create", str(folder / "bundle"), "--release", "talos-1.13.9"], App(home=home)) == 0
    words = ("trust", str(feed.first_root), "--url", "https://feed.invalid", "--yes")
    assert run(["update", *words], App(home=folder / "far", environ={"USER": "ada"})) == 0
    return folder / "bundle", folder / "far"


@pytest.fixture
def bundle(carried, tmp_path):
    return shutil.copytree(carried[0], tmp_path / "bundle")


@pytest.fixture
def far(carried, tmp_path):
    return shutil.copytree(carried[1], tmp_path / "far")


@pytest.fixture
def home(accepted, tmp_path):
    shutil.copytree(accepted[1], tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def feed(accepted, tmp_path):
    """The publisher's feed as the home knows it, to be gone on with."""
    shutil.copytree(accepted[0].folder, tmp_path / "feed")
    return accepted[0].copy(tmp_path / "feed")


@pytest.fixture
def cto(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*argv, environ=None, to=home):
        capsys.readouterr()
        app = App(home=to, environ={"USER": "ada", **(environ or {})}, now=lambda: datetime.now(UTC))
        code = run([str(word) for word in argv], app)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


@pytest.fixture
def check(cto, feed):
    return lambda *words: cto("update", "check", "--from", feed.folder, *words)


@pytest.fixture
def state(home):
    """Everything that a refusal must leave as it was: rows of the store, accepted metadata, staged files."""

    def read(home=home):
        with sqlite3.connect(home / "fleet.db") as connection:
            rows = "\n".join(connection.iterdump())
        files = {
            str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((home / "updates").rglob("*"))
            if path.is_file() and path.name != "lock"
        }
        return rows, files

    return read


def names(ran):
    return [each["name"] for each in ran.json["releases"]]
