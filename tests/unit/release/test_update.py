"""`cto update` in ordinary use: trusting, looking, putting ready; and what of it shows elsewhere."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from controller.app import updates
from controller.app.plain_files import open_plain
from controller.wiring import open_services
from inventory.errors import RefusedError
from tests.peers_feed import Feed
from tests.unit.release.conftest import IMAGE, URL


def kinds(cto):
    return [json.loads(line)["kind"] for line in cto("events", "--output", "json").out.splitlines()]


def test_trusting_needs_a_yes_and_shows_the_keys(feed, cto, tmp_path):
    home = tmp_path / "new"
    words = ("update", "trust", feed.first_root, "--url", feed.folder)
    assert cto("update", "check", to=home).code == 2
    assert cto(*words, to=home).code == 2
    ran = cto(*words, "--yes", "--output", "json", to=home)
    assert ran.json["threshold"] == 2
    assert sorted(ran.json["keys"]) == sorted(feed.root.roles["root"].keyids)
    with open_services(home) as services:
        reasons = [
            row["reason"]
            for row in services.store._rows("SELECT reason FROM audit WHERE action = 'set feed'")
        ]
    assert all(key[:16] in reasons[0] for key in ran.json["keys"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("trust", "{root}", "--url", "x", "--channel", "nightly", "--yes"), "no channel 'nightly'"),
        (("trust", "{feed}/metadata/timestamp.json", "--url", "x", "--yes"), "not root metadata"),
        (("trust", "{feed}/missing", "--url", "x", "--yes"), "can't be read"),
        (("show", "talos-9.9.9"), "there is talos-1.13.9, talos-1.13.8"),
        (("stage", "talos-9.9.9"), "no release 'talos-9.9.9'"),
        (("check", "--from", "{feed}/nowhere"), "it is not whole"),
    ],
)
def test_wrong_input_is_said(words, told, feed, cto, state):
    before = state()
    ran = cto("update", *[word.format(feed=feed.folder, root=feed.first_root) for word in words])
    assert ran.code == 2
    assert told in ran.err
    if "stage" not in words:  # which looks first
        assert state() == before


def test_channels_are_apart(feed, cto, check):
    feed.release("1.15.0", 1, channel="beta")
    feed.publish()
    assert check("--output", "json").json["new"] == []
    assert kinds(cto).count("ReleaseSeen") == 2
    words = ("trust", feed.first_root, "--url", feed.folder, "--channel", "beta", "--yes")
    assert cto("update", *words).code == 0
    assert [each["name"] for each in cto("update", "list", "--output", "json").json] == ["talos-1.15.0"]


def test_staging_brings_pins_and_tells(feed, cto, home):
    ran = cto("update", "stage", "talos-1.13.9", "--from", feed.folder)
    assert ran.code == 0
    assert "lies ready: 1 file" in ran.out
    (path,) = home.glob("updates/files/*/*")
    assert (path.name, path.read_bytes()) == (hashlib.sha256(IMAGE).hexdigest(), IMAGE)
    assert "ReleaseStaged" in kinds(cto)
    with open_services(home) as services:
        assert services.store.image_pin(URL) == path.name
    assert "ready" in cto("update", "list").out


@pytest.mark.parametrize(
    ("counter", "data", "url"), [(2, b"another", URL), (3, b"another", URL), (3, IMAGE, "https://x/another")]
)
def test_a_release_that_was_changed_is_not_ready_any_more(counter, data, url, feed, cto, check):
    """Its files, its description, or both: then there is something to bring or to pin."""
    assert cto("update", "stage", "talos-1.13.9", "--from", feed.folder).code == 0
    feed.release("1.13.9", counter, files={"metal-amd64.raw.zst": (data, url)})
    feed.publish()
    assert check().code == 0
    assert [each["staged_at"] for each in cto("update", "list", "--output", "json").json] == ["", ""]


def test_a_release_whose_file_is_not_in_the_feed_is_refused(feed, cto):
    feed.release("1.14.0", 3, artifacts=[{"target": "files/x", "url": "", "what": ""}])
    feed.publish()
    ran = cto("update", "stage", "talos-1.14.0", "--from", feed.folder)
    assert ran.code == 2
    assert "files/x belongs to the release and is not in the feed" in ran.err


def test_no_file_is_begun_that_would_fill_the_disk(feed, cto, home):
    name = next(name for name in feed.targets.targets if name.endswith(".zst"))
    feed.targets.targets[name].length = 10**15
    feed.publish()
    ran = cto("update", "stage", "talos-1.13.9", "--from", feed.folder)
    assert ran.code == 2
    assert "a tenth of that is left alone" in ran.err
    assert not (home / "updates" / "files").exists()


def test_a_release_that_is_taken_back_is_gone(feed, cto, check):
    assert cto("update", "stage", "talos-1.13.9", "--from", feed.folder).code == 0
    del feed.targets.targets["releases/stable/talos-1.13.9.json"]
    feed.publish()
    assert check().code == 0
    assert [each["name"] for each in cto("update", "list", "--output", "json").json] == ["talos-1.13.8"]


def test_a_floor_seen_once_holds_for_ever(feed, cto, check):
    feed.release("1.14.0", 3, floor=2)
    feed.publish()
    assert check().code == 0
    feed.release("1.14.0", 3, floor=0)
    feed.publish()
    assert check().code == 0
    assert "withdrew talos-1.13.8" in cto("update", "stage", "talos-1.13.8", "--from", feed.folder).err


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_metadata_that_ends_within_30_days_is_in_status(role, feed, cto, check):
    assert check().code == 0
    assert cto("status", "--output", "json").json["needs"] == []
    getattr(feed, role).expires = (datetime.now(UTC) + timedelta(days=20, hours=1)).replace(microsecond=0)
    feed.root.version += 1
    feed.write("root")
    feed.publish()
    assert check().code == 0
    (need,) = cto("status", "--output", "json").json["needs"]
    assert need["subject"] == "controller"
    assert f"release metadata: {role} ends on" in need["text"]
    assert "cto update check" in need["text"]
    getattr(feed, role).expires += timedelta(days=60)
    feed.root.version += 1
    feed.write("root")
    feed.publish()
    assert check().code == 0
    assert cto("status", "--output", "json").json["needs"] == []


def test_dates_of_a_publisher_no_longer_trusted_are_forgotten(feed, cto, check, tmp_path):
    feed.timestamp.expires = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    feed.publish()
    assert check().code == 0
    assert len(cto("status", "--output", "json").json["needs"]) == 1
    other = Feed(tmp_path / "other")
    other.publish()
    assert cto("update", "trust", other.first_root, "--url", other.folder, "--yes").code == 0
    assert cto("status", "--output", "json").json["needs"] == []


def test_what_was_accepted_before_is_forgotten_with_the_publisher(feed, cto, check, home, tmp_path):
    assert check().code == 0
    other = Feed(tmp_path / "other")
    other.publish()
    assert cto("update", "trust", other.first_root, "--url", other.folder, "--yes").code == 0
    assert not (home / "updates" / "metadata").exists()
    assert cto("bundle", "create", tmp_path / "b", "--metadata-only").code == 0
    assert sorted(path.name for path in (tmp_path / "b" / "metadata").iterdir()) == [
        "1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json",
    ]  # fmt: skip


def test_an_image_that_lies_ready_is_used_and_its_damage_noticed(feed, cto, home):
    image = zstandard.compress(bytes(3 << 20))
    feed.release("1.14.0", 3, files={"metal.raw.zst": (image, "https://x/metal.raw.zst")})
    feed.publish()
    assert cto("update", "stage", "talos-1.14.0", "--from", feed.folder).code == 0

    async def ensure(images):
        return await images.ensure("https://x/metal.raw.zst", "", progress=lambda done, total: None)

    with open_services(home) as services:
        found = asyncio.run(ensure(services.images))
        path = services.home.staged(hashlib.sha256(image).hexdigest())
        assert found.path == str(path)
    path.chmod(0o600)
    path.write_bytes(zstandard.compress(bytes(4 << 20)))
    with open_services(home) as services, pytest.raises(RefusedError, match="put ready is damaged"):
        asyncio.run(ensure(services.images))


@pytest.mark.parametrize(
    "bad", ["..", ".", "", "a/../b", "a//b", "/a", "a\0b", "link/x", "link", "fifo", "folder"]
)
def test_only_plain_files_are_opened(bad, tmp_path):
    import os

    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "x").write_bytes(b"secret")
    (root / "folder" / "x").write_bytes(b"fine")
    (root / "link").symlink_to(tmp_path)
    os.mkfifo(root / "fifo")
    with open_plain(root, "folder/x") as file:
        assert file.read() == b"fine"
    with pytest.raises((RefusedError, FileNotFoundError)):
        open_plain(root, bad)


def test_urls_without_a_secret_stay_what_they_are():
    for url in ("", "https://x/y", "/folder/with@at", "file:///a@b"):
        assert updates.without_secret(url) == url


def test_people_are_told_once_that_a_release_was_withdrawn(feed, cto, check):
    feed.release("1.14.0", 3, floor=2)
    feed.publish()
    assert check().code == 0
    assert check().code == 0
    events = map(json.loads, cto("events", "--output", "json").out.splitlines())
    told = [event["message"] for event in events if event["kind"] == "ReleaseWithdrawn"]
    assert len(told) == 1
    assert "talos-1.13.8 of stable was withdrawn" in told[0]
