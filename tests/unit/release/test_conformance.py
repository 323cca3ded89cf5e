"""The cases of tuf-conformance (theupdateframework/tuf-conformance, its test functions as of 2026), made anew against
`cto update`. Those that `test_attacks` and others hold already are not repeated: docs/releases.md has the table, and
`test_the_table_names_what_is_there` holds it to the tests.

Where we are stricter than TUF demands, it is said at the case.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, Targets

from tests.peers_feed import Feed, key
from tests.unit.release.conftest import IMAGE, URL, names
from tests.unit.release.test_attacks import BELOW, KEYS, OLDER, REFUSED
from tests.unit.release.test_feed_http import serving

ROOT = Path(__file__).parents[3]


def version(home, role):
    return json.loads((home / "updates" / "metadata" / f"{role}.json").read_bytes())["signed"]["version"]


def trusted_anew(cto, feed, home, url=""):
    assert cto("update", "trust", feed.first_root, "--url", url or feed.folder, "--yes", to=home).code == 0


# --- basics


def test_basic_init_and_refresh(feed, cto, tmp_path):
    """What is asked for, and nothing else: the next root, timestamp, and what they name."""
    home = tmp_path / "new"
    with serving(feed.folder) as server:
        trusted_anew(cto, feed, home, server.url)
        assert server.asked == []
        assert cto("update", "check", to=home).code == 0
        asked = [path for path, _ in server.asked if path.startswith("/metadata")]
    wanted = ("2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json")
    assert asked == [f"/metadata/{name}" for name in wanted]
    assert [version(home, role) for role in ("root", *BELOW)] == [1, 2, 2, 2]


def test_implicit_refresh(feed, cto, tmp_path):
    """A release is asked for right after the trust: there is none of that name, and the metadata is there now."""
    home = tmp_path / "new"
    trusted_anew(cto, feed, home)
    assert cto("update", "stage", "talos-9.9.9", to=home).code == REFUSED
    assert version(home, "timestamp") == 2


@pytest.mark.parametrize("bend", ["no version", "another signature"])
def test_invalid_or_unsigned_initial_root(bend, feed, cto, tmp_path):
    """Neither is trusted, and nobody is asked anything."""
    body = json.loads(feed.first_root.read_bytes())
    if bend == "no version":
        del body["signed"]["version"]
    else:
        for each in body["signatures"]:
            each["sig"] = "30450221" * 16
    (tmp_path / "root.json").write_text(json.dumps(body))
    home = tmp_path / "new"
    with serving(feed.folder) as server:
        words = ("update", "trust", tmp_path / "root.json", "--url", server.url, "--yes")
        assert cto(*words, to=home).code == REFUSED
        assert cto("update", "check", to=home).code == REFUSED
        assert server.asked == []


@pytest.mark.parametrize("sign", [True, False])
def test_timestamp_of_the_same_version_with_other_content(sign, feed, check, home):
    """Its own key signed it, or nobody did: the one that was accepted first stays."""
    assert check().code == 0
    feed.timestamp.snapshot_meta = MetaFile(100)
    path = feed.write("timestamp")
    if not sign:
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "signatures": []}))
    check()
    kept = json.loads((home / "updates" / "metadata" / "timestamp.json").read_bytes())
    assert kept["signed"]["meta"]["snapshot.json"]["version"] == feed.snapshot.version


def test_new_targets_version_mismatch(feed, check, home):
    """The targets that no snapshot names are nobody's word."""
    assert check().code == 0
    feed.release("1.14.0", 3)
    feed.targets.version += 1
    feed.write("targets")
    assert "talos-1.14.0" not in names(check("--output", "json"))
    assert version(home, "targets") == 2


def test_custom_fields(feed, check, home):
    """Fields of tomorrow are signed as everything is, and hinder nothing."""
    feed.root.unrecognized_fields["custom"] = "value"
    keyid = feed.root.roles["root"].keyids[0]
    feed.root.keys[keyid].unrecognized_fields["extra"] = {"a": 1, "b": [2]}
    feed.root.roles["root"].unrecognized_fields["another"] = "value"
    feed.new_root()
    feed.publish()
    assert check().code == 0
    assert version(home, "root") == feed.root.version


# --- expiry


def test_expired_local_metadata_is_a_start(feed, check, home):
    """What was accepted ended meanwhile: the fresh one is measured by it all the same."""
    assert check().code == 0
    for role in ("timestamp", "snapshot"):
        later = getattr(feed, role).expires
        getattr(feed, role).expires = (datetime.now(UTC) - timedelta(days=11)).replace(microsecond=0)
        (home / "updates" / "metadata" / f"{role}.json").write_bytes(feed.signed(role))
        getattr(feed, role).expires = later
    feed.publish()
    assert check().code == 0
    assert [version(home, role) for role in BELOW] == [3, 3, 3]


# --- keys and thresholds


def more_keys(feed: Feed, role: str, count: int) -> None:
    for _ in range(count):
        feed.signers[role].append(key())
        feed.root.add_key(feed.signers[role][-1].public_key, role)


def test_snapshot_threshold(feed, check, state):
    """More signatures are demanded than there are keys."""
    more_keys(feed, "snapshot", 4)
    feed.root.roles["snapshot"].threshold = 6
    feed.new_root()
    feed.publish()
    before = state()
    ran = check()
    assert (ran.code, KEYS in ran.err) == (REFUSED, True)
    assert state() == before


def test_root_has_keys_but_not_snapshot(feed, check):
    """A key that root names and that signed nothing counts for nothing."""
    more_keys(feed, "snapshot", 3)
    feed.root.roles["snapshot"].threshold = 4
    feed.new_root()
    feed.publish()
    assert check().code == 0
    feed.root.add_key(key().public_key, "snapshot")
    feed.root.roles["snapshot"].threshold = 5
    feed.new_root()
    feed.publish()
    ran = check()
    assert (ran.code, KEYS in ran.err) == (REFUSED, True)


def test_wrong_hashing_algorithm(feed, check):
    """`keyid_hash_algorithms` is no part of TUF, and is not looked at."""
    keyid = feed.root.roles["snapshot"].keyids[0]
    feed.root.keys[keyid].unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    feed.new_root()
    feed.publish()
    assert check().code == 0


def test_duplicate_keys_root(feed, check, state):
    """One key under many ids is one key: ids are not made from keys, so the library counts them apart."""
    one = key()
    feed.signers["snapshot"] = [one]
    for number in range(9):
        double = type(one.public_key).from_dict(f"{number:064x}", one.public_key.to_dict())
        feed.root.add_key(double, "snapshot")
    feed.root.add_key(one.public_key, "snapshot")
    feed.root.roles["snapshot"].threshold = 6
    feed.new_root()
    feed.publish()
    path = feed.path("snapshot")
    body = json.loads(path.read_bytes())
    body["signatures"] += [{**body["signatures"][0], "keyid": f"{number:064x}"} for number in range(9)]
    path.write_text(json.dumps(body))
    before = state()
    ran = check()
    assert (ran.code, "one key under several ids for snapshot" in ran.err) == (REFUSED, True)
    assert state() == before


# Each a chain of root versions: (keys, threshold, who signs). The last one is accepted or not.
ROOTS = {
    "one key exchanged": ([([1], 1, [1]), ([2], 1, [2, 1]), ([2], 1, [2])], True),
    "one key exchanged, strangers sign too": (
        [([1], 1, [3, 1, 4]), ([2], 1, [3, 2, 1, 4]), ([2], 1, [3, 2, 4])],
        True,
    ),
    "three of five in turn": (
        [([0, 1, 2, 3, 4], 3, signed) for signed in ([0, 2, 4], [0, 4, 1], [0, 1, 3], [0, 1, 3])],
        True,
    ),
    "three of five, one exchanged": (
        [([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 1])],
        True,
    ),
    "three of five, one exchanged in two steps": (
        [
            ([0, 1, 2, 3, 4], 3, [0, 2, 4]),
            ([0, 1, 3, 4, 5], 3, [0, 2, 4, 5]),
            ([0, 1, 3, 4, 5], 3, [0, 4, 5]),
        ],
        True,
    ),
    "three of five, all exchanged": (
        [
            ([0, 1, 2, 3, 4], 3, [0, 2, 4]),
            ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]),
            ([5, 6, 7, 8, 9], 3, [5, 6, 7]),
        ],
        True,
    ),
    "threshold raised": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [1, 2])], True),
    "threshold lowered": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1, 2]), ([1, 2, 3], 1, [1])], True),
    "a key and a threshold more": ([([1], 1, [1]), ([1, 2], 2, [1, 2])], True),
    "not by the old key": ([([1], 1, [1]), ([2], 1, [2, 3, 4])], False),
    "not by the new key": ([([1], 1, [1]), ([2], 1, [1, 3, 4])], False),
    "not by three of the new": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4])], False),
    "not by three of the old": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 5])], False),
    "threshold raised, not reached": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [2])], False),
    "threshold lowered, the old not reached": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1])], False),
}


@pytest.mark.parametrize("name", ROOTS)
def test_root_rotation(name, cto, tmp_path):
    chain, accepted = ROOTS[name]
    keys = [key() for _ in range(10)]
    feed, home = Feed(tmp_path / "feed"), tmp_path / "new"
    feed.root.version = 0
    for own, threshold, by in chain:
        for old in list(feed.root.roles["root"].keyids):
            feed.root.revoke_key(old, "root")
        for number in own:
            feed.root.add_key(keys[number].public_key, "root")
        feed.root.roles["root"].threshold = threshold
        feed.new_root(*[keys[number] for number in by])
    feed.release("1.0.0", 1)
    feed.publish()
    trusted_anew(cto, feed, home)
    ran = cto("update", "check", to=home)
    assert (ran.code, KEYS in ran.err) == ((0, False) if accepted else (REFUSED, True)), ran.err
    if accepted:
        assert version(home, "root") == len(chain)


# (keys, threshold, who signs) of a role below root; key 1 is what it had before.
ROLES_BELOW = {
    "one key exchanged": ([2], 1, [2], True),
    "strangers sign too": ([1], 1, [3, 1, 4], True),
    "not by the new key": ([2], 1, [1, 3, 4], False),
    "one of three signatures by a key that went": ([0, 1, 3, 4, 5], 3, [0, 2, 4], False),
    "one signature too few": ([0, 1, 3, 4, 5], 3, [0, 4], False),
    **{
        f"three of five: {by}": ([0, 1, 2, 3, 4], 3, by, True)
        for by in ([0, 2, 4], [0, 4, 1], [0, 1, 3], [1, 2, 3], [2, 3, 4])
    },
}


@pytest.mark.parametrize("role", BELOW)
@pytest.mark.parametrize("name", ROLES_BELOW)
def test_non_root_rotations(name, role, feed, check, state):
    own, threshold, by, accepted = ROLES_BELOW[name]
    keys = [key() for _ in range(6)]
    keys[1] = feed.signers[role][0]
    for old in list(feed.root.roles[role].keyids):
        feed.root.revoke_key(old, role)
    for number in own:
        feed.root.add_key(keys[number].public_key, role)
    feed.root.roles[role].threshold = threshold
    feed.signers[role] = [keys[number] for number in by]
    feed.new_root()
    feed.publish()
    before = state()
    ran = check()
    assert (ran.code, KEYS in ran.err) == ((0, False) if accepted else (REFUSED, True)), ran.err
    assert accepted == (state() != before)


# --- rollback and the way back from it


def test_simple_snapshot_rollback(feed, check, home):
    """The server has an older snapshot, and timestamp still names the newer one: it is here already."""
    feed.publish()
    assert check().code == 0
    feed.snapshot.version -= 1
    feed.write("snapshot")
    feed.snapshot.version += 1
    feed.path("snapshot").unlink()
    check()
    assert version(home, "snapshot") == 3


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_rollback_with_hashes(role, feed, check, state):
    """As without: what is measured by is what was accepted, whatever hashes are signed now."""
    feed.publish()
    feed.publish()
    assert check().code == 0
    getattr(feed, role).version = 1
    for other in {"snapshot", "timestamp"} - {role}:
        getattr(feed, other).version += 1
    targets, snapshot = feed.write("targets").read_bytes(), None
    feed.snapshot.meta["targets.json"] = MetaFile.from_data(feed.targets.version, targets, ["sha256"])
    snapshot = feed.write("snapshot").read_bytes()
    feed.timestamp.snapshot_meta = MetaFile.from_data(feed.snapshot.version, snapshot, ["sha256"])
    feed.write("timestamp")
    before = state()
    ran = check()
    assert (ran.code, OLDER in ran.err) == (REFUSED, True), ran.err
    assert state() == before


def test_new_snapshot_version_mismatch(feed, cto, tmp_path):
    """Timestamp names a snapshot that the server does not have under that number."""
    home = tmp_path / "new"
    feed.snapshot.version += 1
    feed.path("snapshot").with_name("2.snapshot.json").unlink()
    feed.write("snapshot")
    trusted_anew(cto, feed, home)
    assert cto("update", "check", to=home).code == REFUSED
    assert not (home / "updates" / "metadata" / "snapshot.json").exists()


# What TUF lets each role come back by; we hold targets to their own keys: see `_not_below` in app/updates.py.
RECOVERY = {"timestamp": ("timestamp",), "snapshot": ("snapshot", "timestamp"), "targets": BELOW}


@pytest.mark.parametrize("role", BELOW)
def test_fast_forward_recovery(role, feed, check, home):
    """Somebody drove one role's number up; with fresh keys it may begin again below."""
    getattr(feed, role).version = 99_999
    feed.publish()
    assert check().code == 0
    assert version(home, role) == 100_000
    feed.exchange(*RECOVERY[role])
    getattr(feed, role).version = 9
    feed.publish()
    assert check().code == 0
    assert version(home, role) == 10


# --- files


def staged(home):
    return sorted(path.read_bytes() for path in home.glob("updates/files/*/*"))


def test_repository_substitutes_target_file(feed, cto, home):
    """One release lies ready, another does not; then the mirror changes the files of both."""
    data, other = b"the other image" * 500, "files/talos-1.14.0/metal-amd64.raw.zst"
    feed.release("1.14.0", 3, files={"metal-amd64.raw.zst": (data, URL.replace("1.13.9", "1.14.0"))})
    feed.publish()
    stage = ("update", "stage", "--from", feed.folder)
    assert cto(*stage, "talos-1.13.9").code == 0
    assert staged(home) == [IMAGE]
    for target in ("files/talos-1.13.9/metal-amd64.raw.zst", other):
        feed.file(target).write_bytes(b"malicious data, should not be taken"[: len(data)])
    cto(*stage, "talos-1.13.9")
    assert staged(home) == [IMAGE]
    ran = cto(*stage, "talos-1.14.0")
    assert (ran.code, "not the file that the signed" in ran.err) == (REFUSED, True)
    assert staged(home) == [IMAGE]


def test_multiple_changes_to_target(feed, cto, home):
    """A name stands for one file after the other; what is taken is always the one that was signed last."""
    name, target = "metal-amd64.raw.zst", "files/talos-1.14.0/metal-amd64.raw.zst"
    for number in range(4):
        data = f"contents {number}".encode() * 100
        feed.release("1.14.0", 3, files={name: (data, URL.replace("1.13.9", "1.14.0"))}, notes=str(number))
        feed.publish()
        assert cto("update", "stage", "talos-1.14.0", "--from", feed.folder).code == 0
        assert data in staged(home)
        feed.file(target).write_bytes(b"x" * len(data))
        feed.publish()
        cto("update", "stage", "talos-1.14.0", "--from", feed.folder)
        assert b"x" * len(data) not in staged(home)


# --- delegations: a feed is one publisher's word, so none is followed, whatever it is called


@pytest.mark.parametrize("role", ["other", "?", "#", "/delegated", "../delegated", "a/b"])
def test_unusual_role_name(role, feed, cto):
    other = key()
    made = DelegatedRole(role, [other.public_key.keyid], 1, terminating=False, paths=["*"])
    feed.targets.delegations = Delegations({other.public_key.keyid: other.public_key}, {role: made})
    delegated = Targets(version=1, expires=feed.targets.expires)
    assert delegated.targets == {}
    feed.snapshot.meta[f"{role}.json"] = MetaFile(1)
    feed.publish()
    with serving(feed.folder) as server:
        assert cto("update", "check", "--from", server.url).code == 0
        asked = [path for path, _ in server.asked if path.startswith("/metadata")]
    wanted = ("2.root.json", "timestamp.json", "3.snapshot.json", "3.targets.json")
    assert asked == [f"/metadata/{name}" for name in wanted]


# --- the table


def test_the_table_names_what_is_there():
    """Each case in docs/releases.md is answered by a test or an attack that exists."""
    text = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
    table = text.partition("### TUF's conformance suite")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) >= 25
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for row in rows:
        named = re.findall(r"`([^`]+)`", row.split("|")[2])
        assert named or "not made anew" in row, row
        for one in named:
            assert f"def {one}(" in tests or f'"{one}' in tests, one
