"""The publisher's side: what it writes is a feed that a client takes, and a missing key leaves it as it was."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from controller.app import publishing
from controller.app.publishing_keys import Keys, signer
from controller.core.release.document import Artifact
from inventory.errors import FleetError, OperatorError

NOW = datetime.now(UTC).replace(microsecond=0)


class PlainKeys:
    """Key files that hold the bare seed: sealing one takes half a second, and has tests of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, role):
        return sorted(self.folder.glob(f"{role}-*.key"))

    def signers(self, role):
        return [signer(path.read_bytes()) for path in self.files(role)]

    def make(self, role):
        self.folder.mkdir(exist_ok=True)
        number = len(self.files(role)) + 1
        seed = f"{role}{number}".encode().ljust(32)
        (self.folder / f"{role}-{number}.key").write_bytes(seed)
        return signer(seed)


@pytest.fixture
def keys(tmp_path):
    return PlainKeys(tmp_path / "keys")


@pytest.fixture
def folder(tmp_path, keys):
    publishing.init(tmp_path / "made", keys, NOW)
    return tmp_path / "made"


@pytest.fixture
def put(folder, keys, tmp_path):
    def one(version, *, channel="stable", counter=None, floor=0, data=b"x" * 100, now=NOW):
        file = tmp_path / "image"
        file.write_bytes(data)
        artifact = Artifact(f"files/talos-{version}/image", f"https://x/{version}")
        counter = counter or publishing.next_counter(folder, channel)
        made = publishing.describe("talos", version, counter, floor, ["1.12"], "news", [artifact])
        return publishing.add(folder, keys, channel, made, {artifact.target: file}, now)

    return one


@pytest.fixture
def client(cto, folder, tmp_path):
    """A controller that trusts this publisher."""
    words = ("trust", folder / "metadata" / "1.root.json", "--url", folder, "--yes")
    assert cto("update", *words, to=tmp_path / "client").code == 0

    def call(*words):
        return cto("update", *words, to=tmp_path / "client")

    return call


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def signed(folder, name):
    return Metadata.from_file(str(folder / "metadata" / name)).signed


def move(keys, tmp_path, *names):
    """Keys that somebody else keeps."""
    other = PlainKeys(tmp_path / "elsewhere")
    other.folder.mkdir(exist_ok=True)
    for name in names:
        (keys.folder / f"{name}.key").rename(other.folder / f"{name}.key")
    return other


def test_what_is_published_is_taken(put, client):
    put("1.13.8")
    put("1.13.9")
    put("1.14.0", channel="beta")
    assert client("check", "--output", "json").json["new"] == ["talos-1.13.8", "talos-1.13.9"]
    shown = client("list", "--output", "json").json
    assert [(each["name"], each["counter"]) for each in shown] == [("talos-1.13.9", 2), ("talos-1.13.8", 1)]
    assert client("stage", "talos-1.13.9").code == 0
    assert "news" in client("show", "talos-1.13.9").out


def test_a_floor_withdraws(put, client):
    put("1.13.8")
    put("1.13.9", floor=2)
    assert client("check").code == 0
    ran = client("stage", "talos-1.13.8")
    assert ran.code == 2
    assert "withdrew talos-1.13.8" in ran.err
    assert client("stage", "talos-1.13.9").code == 0


@pytest.mark.parametrize("counter", [1, 2])
def test_counters_only_rise(put, counter):
    put("1.13.8")
    put("1.13.9")
    with pytest.raises(OperatorError, match=r"not above 2.*"):
        put("1.13.7", counter=counter)


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_missing_key_leaves_the_feed_as_it_was(role, put, folder, keys, tmp_path):
    put("1.13.8")
    move(keys, tmp_path, f"{role}-1")
    before = files(folder)
    with pytest.raises(OperatorError, match=f"does not hold the key of {role}"):
        put("1.13.9")
    assert files(folder) == before


def test_files_and_release_must_fit(folder, keys):
    made = publishing.describe("talos", "1.0.0", 1, 0, [], "", [Artifact("a")])
    with pytest.raises(OperatorError, match="belong together"):
        publishing.add(folder, keys, "stable", made, {}, NOW)


@pytest.mark.parametrize("with_targets", [True, False])
def test_renewing_signs_what_it_has_the_keys_for(with_targets, put, folder, keys, tmp_path, client):
    put("1.13.8")
    later = NOW + timedelta(days=50)
    if not with_targets:
        move(keys, tmp_path, "targets-1")
    role, end = publishing.renew(folder, keys, later)
    assert (role, end) == ("snapshot", later + timedelta(days=60))
    ends = signed(folder, "3.targets.json" if with_targets else "2.targets.json").expires
    assert ends == (later if with_targets else NOW) + timedelta(days=180)
    assert signed(folder, "timestamp.json").version == 3
    assert client("check").code == 0
    far = NOW + timedelta(days=170)
    if not with_targets:
        assert publishing.renew(folder, keys, far) == ("targets", NOW + timedelta(days=180))


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_key_is_exchanged_and_the_old_one_signs_nothing(role, put, folder, keys, client):
    put("1.13.8")
    assert client("check").code == 0
    old = signed(folder, "1.root.json").roles[role].keyids
    made = publishing.rotate(folder, keys, role, NOW)
    assert (made.missing, made.renewed) == (0, True)
    new = signed(folder, "2.root.json").roles[role].keyids
    assert len(new) == len(old)
    assert old[0] not in new
    assert client("check").code == 0
    put("1.13.9")
    assert client("check", "--output", "json").json["new"] == ["talos-1.13.9"]


def test_the_one_that_was_lost_can_be_named(folder, keys):
    old = signed(folder, "1.root.json").roles["root"].keyids
    publishing.rotate(folder, keys, "root", NOW, lost=old[1][:12])
    new = signed(folder, "2.root.json").roles["root"].keyids
    assert set(old) - set(new) == {old[1]}
    with pytest.raises(OperatorError, match="no single key 'zz'"):
        publishing.rotate(folder, keys, "root", NOW, lost="zz")


def test_root_keys_of_long_ago_sign_nothing(folder, keys):
    """Their files may still lie there."""
    for _ in range(3):
        publishing.rotate(folder, keys, "root", NOW)
    metadata = Metadata.from_file(str(folder / "metadata" / "4.root.json"))
    before = signed(folder, "3.root.json").roles["root"].keyids
    assert set(metadata.signatures) == {*before, *metadata.signed.roles["root"].keyids}


def test_root_needs_two_people(put, folder, keys, tmp_path, client):
    put("1.13.8")
    second = move(keys, tmp_path, "root-2", "root-3")
    before = files(folder)
    with pytest.raises(OperatorError, match="no root waits"):
        publishing.cosign(folder, second, NOW)
    made = publishing.rotate(folder, keys, "timestamp", NOW)
    assert (made.path.name, made.missing) == ("root.draft.json", 1)
    assert {path: data for path, data in files(folder).items() if path != made.path} == before
    assert client("check").code == 0  # a draft is no client's business
    with pytest.raises(OperatorError, match="waits for signatures already"):
        publishing.rotate(folder, keys, "snapshot", NOW)
    made = publishing.cosign(folder, second, NOW)
    assert (made.path.name, made.missing, made.renewed) == ("2.root.json", 0, False)
    assert not (folder / "root.draft.json").exists()
    publishing.renew(folder, keys, NOW)
    assert client("check").code == 0


def test_one_person_cosigning_twice_is_still_one(folder, keys, tmp_path):
    move(keys, tmp_path, "root-2", "root-3")
    publishing.rotate(folder, keys, "timestamp", NOW)
    assert publishing.cosign(folder, keys, NOW).missing == 1


def test_no_feed_is_made_over_something(tmp_path, folder, keys):
    with pytest.raises(OperatorError, match="keys in this folder already"):
        publishing.init(tmp_path / "b", keys, NOW)
    other = PlainKeys(tmp_path / "other-keys")
    with pytest.raises(OperatorError, match="something at this place already"):
        publishing.init(folder, other, NOW)
    assert not other.folder.exists()


def test_a_folder_that_is_no_feed_is_said(tmp_path, keys):
    with pytest.raises(OperatorError, match="no release feed"):
        publishing.renew(tmp_path, keys, NOW)


def test_metadata_that_was_damaged_is_said(folder, keys):
    (folder / "metadata" / "1.targets.json").write_text("{")
    with pytest.raises(OperatorError, match="can't be read"):
        publishing.next_counter(folder, "stable")


def test_all_of_it_by_the_command_line_with_sealed_keys(cto, tmp_path):
    """Once with the real, slow sealing: two root keys are read, six are made."""
    words = {"CTO_VENDOR_PASSPHRASE": "correct horse battery"}
    feed, keys = tmp_path / "f", tmp_path / "k"
    assert cto("vendor", "release", "init", feed, "--keys", keys, environ=words).code == 0
    assert sorted(path.name for path in keys.iterdir()) == [
        "root-1.key", "root-2.key", "root-3.key", "snapshot-1.key", "targets-1.key", "timestamp-1.key",
    ]  # fmt: skip
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.iterdir())
    wrong = cto(
        "vendor",
        "release",
        "renew",
        feed,
        "--keys",
        keys,
        environ={"CTO_VENDOR_PASSPHRASE": "another of them"},
    )
    assert wrong.code == 2
    assert "does not open the key" in wrong.err
    (tmp_path / "image").write_bytes(b"image")
    add = (
        "vendor",
        "release",
        "add",
        feed,
        "--keys",
        keys,
        "--channel",
        "stable",
        "--kind",
        "talos",
        "--version",
        "1.13.9",
    )
    ran = cto(*add, "--file", tmp_path / "image", "--output", "json", environ=words)
    assert (ran.code, ran.json["counter"]) == (0, 1), ran.err
    for bad, told in (
        (("--file", tmp_path / "missing"), "no such file"),
        (("--file", tmp_path / "image", "--file", tmp_path / "." / "image"), "the same name"),
        (("--url", "https://x"), "more names than --file"),
        (("--file", tmp_path / "image", "--url", "http://x"), "artifacts.url"),
        (("--oci", tmp_path), "no index.json"),
    ):
        ran = cto(*add, *bad, environ=words)
        assert ran.code == 2
        assert told in ran.err
    assert cto("vendor", "release", "renew", feed, "--keys", keys, environ=words).code == 0


def test_keys_are_numbered_on_and_never_overwritten(tmp_path):
    keys = Keys(tmp_path, lambda name: "correct horse battery")
    (tmp_path / "root-2.key").write_text("kept")
    keys.make("root")
    assert [path.name for path in keys.files("root")] == ["root-2.key", "root-3.key"]
    with pytest.raises(FleetError, match="not a publisher's key"):
        keys.signers("root")
