"""The cases of TUF's client workflow and conformance suite, against `cto update check`.

Each is a feed that somebody bent. It must be refused with a sentence of its own, and leave no trace.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, TargetFile, Targets

from tests.peers_feed import ROLES, Feed, key

PAST = datetime(2020, 1, 1, tzinfo=UTC)
LIMITS = {"root": 256_000, "timestamp": 16_384, "snapshot": 256_000, "targets": 4_000_000}
REFUSED = 2  # exit code
BELOW = ("timestamp", "snapshot", "targets")


def fresh(feed: Feed, role: str):
    """The next version of everything, as a publisher makes it; the file of `role` to be bent."""
    feed.root.version += 1
    feed.write("root")
    feed.publish()
    return feed.path(role)


# --- each takes a feed as the home knows it, and bends the next version of it ---


def expired(role):
    def bend(feed):
        getattr(feed, role).expires = PAST
        fresh(feed, role)

    return bend


def oversized(role):
    def bend(feed):
        path = fresh(feed, role)
        path.write_bytes(path.read_bytes().ljust(LIMITS[role] + 1))

    return bend


def truncated(role):
    def bend(feed):
        path = fresh(feed, role)
        path.write_bytes(path.read_bytes()[:-40])

    return bend


def flipped(role):
    """One digit of the version: it still parses."""

    def bend(feed):
        path = fresh(feed, role)
        body = json.loads(path.read_bytes())
        body["signed"]["expires"] = body["signed"]["expires"].replace("20", "21", 1)
        path.write_text(json.dumps(body))

    return bend


def spoiled_signature(role):
    def bend(feed):
        path = fresh(feed, role)
        body = json.loads(path.read_bytes())
        for each in body["signatures"]:
            each["sig"] = ("0" if each["sig"][0] != "0" else "1") + each["sig"][1:]
        path.write_text(json.dumps(body))

    return bend


def unsigned(role):
    def bend(feed):
        path = fresh(feed, role)
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "signatures": []}))

    return bend


def missing(role):
    return lambda feed: fresh(feed, role).unlink()


def unknown_key(role):
    def bend(feed):
        feed.signers[role] = [key() for _ in feed.signers[role]]
        fresh(feed, role)

    return bend


def under_another_key_id(role):
    """An attacker's signature that claims the id of the publisher's key."""

    def bend(feed):
        ids = [signer.public_key.keyid for signer in feed.signers[role]]
        path = fresh(feed, role)
        body = json.loads(path.read_bytes())
        forged = json.loads(feed.signed(role, *[key() for _ in ids]))["signatures"]
        body["signatures"] = [{**each, "keyid": name} for each, name in zip(forged, ids, strict=True)]
        path.write_text(json.dumps(body))

    return bend


def served_as(role, other):
    """A file that is signed, in the place of another."""

    def bend(feed):
        path = fresh(feed, role)
        path.write_bytes(feed.path(other).read_bytes())

    return bend


def spec_version(role, version):
    def bend(feed):
        getattr(feed, role).unrecognized_fields = {}
        path = fresh(feed, role)
        body = json.loads(path.read_bytes())
        body["signed"]["spec_version"] = version
        path.write_text(json.dumps(body))

    return bend


def text(role, data):
    return lambda feed: fresh(feed, role).write_bytes(data)


def said_twice(feed):
    """The first reader of JSON sees one version, the second another."""
    path = fresh(feed, "timestamp")
    data = path.read_bytes()
    version = f'"version":{feed.timestamp.version}}}}}'.encode()
    assert data.endswith(version)
    path.write_bytes(data.removesuffix(version) + b'"version":%d,"version":99}}' % feed.timestamp.version)


def threshold_of_one(feed):
    feed.new_root(feed.signers["root"][0])


def one_key_twice(feed):
    """1 of 2 keys, its signature written twice."""
    feed.new_root(feed.signers["root"][0])
    path = feed.path("root")
    body = json.loads(path.read_bytes())
    body["signatures"] *= 2
    path.write_text(json.dumps(body))


def threshold_lowered_by_one_key(feed):
    """The new root says that one key is enough, and is signed by one."""
    feed.root.roles["root"].threshold = 1
    feed.new_root(feed.signers["root"][0])


def new_keys_sign_alone(feed):
    """Root keys that were never introduced by the old ones."""
    for old in feed.signers["root"]:
        feed.root.revoke_key(old.public_key.keyid, "root")
    feed.signers["root"] = [key(), key()]
    for new in feed.signers["root"]:
        feed.root.add_key(new.public_key, "root")
    feed.new_root()


def old_keys_sign_alone(feed):
    """The new root's own keys have not agreed to it."""
    old = feed.signers["root"]
    for each in old:
        feed.root.revoke_key(each.public_key.keyid, "root")
    feed.signers["root"] = [key(), key()]
    for new in feed.signers["root"]:
        feed.root.add_key(new.public_key, "root")
    feed.new_root(*old)


def gap_in_roots(feed):
    feed.new_root()
    feed.path("root").unlink()
    feed.exchange("timestamp")  # without the one before, nobody can know this one's keys
    feed.publish()


def root_under_another_number(feed):
    data = feed.path("root").read_bytes()
    feed.root.version += 1
    feed.path("root").write_bytes(data)


def root_too_far_ahead(feed):
    feed.root.version += 5
    data = feed.signed("root")
    feed.root.version -= 4
    feed.path("root").write_bytes(data)


def revoked(role):
    """The key was exchanged, and its thief goes on signing."""

    def bend(feed):
        thief = feed.signers[role]
        feed.exchange(role)
        feed.signers[role] = thief
        feed.publish()

    return bend


def older_timestamp(feed):
    feed.timestamp.version -= 1
    feed.write("timestamp")


def older_snapshot(feed):
    feed.snapshot.version -= 1
    feed.timestamp.version += 1
    feed.link()
    feed.write("snapshot")
    feed.write("timestamp")


def older_targets(feed):
    feed.targets.version -= 1
    feed.snapshot.version += 1
    feed.timestamp.version += 1
    feed.link()
    for role in BELOW:
        feed.write(role)


def targets_dropped_from_snapshot(feed):
    feed.snapshot.version += 1
    feed.timestamp.version += 1
    feed.link()
    del feed.snapshot.meta["targets.json"]
    for role in BELOW:
        feed.write(role)


def old_snapshot_as_new(feed):
    """Mix and match: what was signed once, under the number that is expected now."""
    old = feed.path("snapshot").read_bytes()
    feed.publish()
    feed.path("snapshot").write_bytes(old)


def old_targets_as_new(feed):
    old = feed.path("targets").read_bytes()
    feed.publish()
    feed.path("targets").write_bytes(old)


def other_hash(role):
    """The metadata above names a hash that this is not."""

    def bend(feed):
        feed.publish()
        wrong = MetaFile(1, 10_000, {"sha256": "0" * 64})
        if role == "snapshot":
            wrong.version = feed.snapshot.version
            feed.timestamp.snapshot_meta = wrong
        else:
            wrong.version = feed.targets.version
            feed.snapshot.meta["targets.json"] = wrong
        feed.write("snapshot")
        feed.write("timestamp")

    return bend


def longer_than_said(role):
    def bend(feed):
        feed.publish()
        if role == "snapshot":
            feed.timestamp.snapshot_meta = MetaFile(feed.snapshot.version, 10)
        else:
            feed.snapshot.meta["targets.json"] = MetaFile(feed.targets.version, 10)
        feed.write("snapshot")
        feed.write("timestamp")

    return bend


def release_file(change):
    """A release's document on the mirror is not the one that was signed."""

    def bend(feed):
        path = feed.file(feed.release("1.14.0", 3))
        feed.publish()
        change(path)

    return bend


def release_text(**changes):
    def bend(feed):
        feed.release("1.14.0", 3, **changes)
        feed.publish()

    return bend


def release_under_another_name(feed):
    target = feed.release("1.14.0", 3)
    feed.add("releases/stable/talos-9.9.9.json", feed.file(target).read_bytes())
    feed.publish()


def release_too_long(feed):
    feed.add("releases/stable/talos-1.14.0.json", b" " * 300_000)
    feed.publish()


def too_many_releases(feed):
    for number in range(501):
        feed.targets.targets[f"releases/edge/talos-1.0.{number}.json"] = TargetFile(
            1, {"sha256": "0" * 64}, "x"
        )
    feed.publish()


def linked(role):
    def bend(feed):
        path = fresh(feed, role)
        path.rename(feed.folder / "elsewhere")
        path.symlink_to(feed.folder / "elsewhere")

    return bend


STALE, OLDER, KEYS = "stale", "older than what was accepted", "too few of the keys"
BROKEN, MORE, APART = "metadata can't be used", "more than may come", "do not belong together"
NOT_WHOLE, OTHER, DEVICE = "it is not whole", "not the file that the signed", "a link, a device"

ATTACKS = {
    **{f"freeze: {role} expired": (expired(role), STALE) for role in ROLES},
    **{f"endless data: {role}": (oversized(role), MORE) for role in ROLES},
    **{f"{role} cut short": (truncated(role), BROKEN) for role in ROLES},
    **{f"{role} changed after it was signed": (flipped(role), KEYS) for role in ROLES},
    **{f"{role} with a spoiled signature": (spoiled_signature(role), KEYS) for role in ROLES},
    **{f"{role} not signed": (unsigned(role), KEYS) for role in ROLES},
    **{f"{role} by an unknown key": (unknown_key(role), KEYS) for role in ROLES},
    **{f"{role} by a key that lies about its id": (under_another_key_id(role), KEYS) for role in ROLES},
    **{f"{role} missing": (missing(role), NOT_WHOLE) for role in BELOW},
    **{f"{role} a link": (linked(role), DEVICE) for role in ROLES},
    **{f"{role} for another major version of TUF": (spec_version(role, "2.0.0"), BROKEN) for role in ROLES},
    **{f"{role} without a readable spec_version": (spec_version(role, "x"), BROKEN) for role in ROLES},
    **{f"{role} by a revoked key": (revoked(role), KEYS) for role in BELOW},
    "timestamp as snapshot": (served_as("snapshot", "timestamp"), BROKEN),
    "snapshot as targets": (served_as("targets", "snapshot"), BROKEN),
    "targets as timestamp": (served_as("timestamp", "targets"), BROKEN),
    "targets as root": (served_as("root", "targets"), BROKEN),
    "empty": (text("timestamp", b""), BROKEN),
    "not JSON": (text("timestamp", b"<html>captive portal</html>"), BROKEN),
    "not UTF-8": (text("snapshot", b"\xff\xfe{}"), BROKEN),
    "a list": (text("targets", b"[]"), BROKEN),
    "nothing in it": (text("timestamp", b"{}"), BROKEN),
    "nested deeply": (text("targets", b"[" * 100_000), BROKEN),
    "a number of 10,000 digits": (text("snapshot", b'{"signed": ' + b"9" * 10_000 + b"}"), BROKEN),
    "one name twice": (said_twice, KEYS),
    "root by one key of two": (threshold_of_one, KEYS),
    "root by one key, counted twice": (one_key_twice, BROKEN),
    "root lowers its own threshold": (threshold_lowered_by_one_key, KEYS),
    "root by new keys alone": (new_keys_sign_alone, KEYS),
    "root by old keys alone": (old_keys_sign_alone, KEYS),
    "gap in the chain of roots": (gap_in_roots, KEYS),
    "the same root as the next": (root_under_another_number, OLDER),
    "root jumps ahead": (root_too_far_ahead, OLDER),
    "rollback of timestamp": (older_timestamp, OLDER),
    "rollback of snapshot": (older_snapshot, OLDER),
    "rollback of targets": (older_targets, OLDER),
    "targets left out of snapshot": (targets_dropped_from_snapshot, BROKEN),
    "mix and match: snapshot": (old_snapshot_as_new, OLDER),
    "mix and match: targets": (old_targets_as_new, OLDER),
    "snapshot with another hash": (other_hash("snapshot"), APART),
    "targets with another hash": (other_hash("targets"), APART),
    "snapshot longer than timestamp says": (longer_than_said("snapshot"), MORE),
    "targets longer than snapshot says": (longer_than_said("targets"), MORE),
    "arbitrary software": (release_file(lambda p: p.write_bytes(p.read_bytes().replace(b"talos", b"evil0"))), OTHER),
    "a target that is longer": (release_file(lambda p: p.write_bytes(p.read_bytes() + b" ")), MORE),
    "a target that is shorter": (release_file(lambda p: p.write_bytes(p.read_bytes()[:-1])), OTHER),
    "a target that is missing": (release_file(lambda p: p.unlink()), NOT_WHOLE),
    "a release under another's name": (release_under_another_name, "calls itself talos-1.14.0"),
    "a release with a field of tomorrow": (release_text(later=True), "newer cto"),
    "a release that leads out of the folder": (
        release_text(artifacts=[{"target": "../x", "url": "", "what": ""}]),
        "artifacts.target",
    ),
    "a release of endless length": (release_too_long, "talos-1.14.0.json is longer than 262144"),
    "more releases than anybody needs": (too_many_releases, "more than 500"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_refused_and_nothing_changed(name, feed, check, state):
    bend, words = ATTACKS[name]
    before = state()
    bend(feed)
    ran = check()
    assert ran.code == REFUSED, ran.err
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert state() == before


@pytest.mark.parametrize("name", [name for name in ATTACKS if "rollback" not in name])
def test_refused_at_the_first_look_too(name, feed, cto, tmp_path):
    """With no metadata to compare with, the signatures, dates and limits are still there."""
    home = tmp_path / "new"
    assert cto("update", "trust", feed.first_root, "--url", feed.folder, "--yes", to=home).code == 0
    bend, words = ATTACKS[name]
    bend(feed)
    ran = cto("update", "check", to=home)
    assert ran.code != 0
    assert words in ran.err
    assert not (home / "updates" / "metadata").exists()


# --- what must be accepted ---


def test_the_next_version_is(feed, check):
    feed.release("1.14.0", 3)
    feed.publish()
    assert check("--output", "json").json["new"] == ["talos-1.14.0"]
    assert check("--output", "json").json["new"] == []  # the same once more is no rollback


def test_another_layout_of_the_same_json_is(feed, check):
    """What is signed is the canonical form: blanks and the order of names are nobody's word."""
    for role in ROLES:
        path = fresh(feed, role)
        body = json.loads(path.read_bytes())
        path.write_text(json.dumps(dict(reversed(body.items())), indent=3))
    assert check().code == 0


def test_an_expired_root_on_the_way_is(feed, check):
    later, feed.root.expires = feed.root.expires, PAST
    feed.new_root()
    feed.root.expires = later
    feed.new_root()
    feed.publish()
    assert check().code == 0


def test_all_root_keys_exchanged_by_the_old_ones_are(feed, check):
    old = list(feed.signers["root"])
    for each in old:
        feed.root.revoke_key(each.public_key.keyid, "root")
    feed.signers["root"] = [key(), key()]
    for new in feed.signers["root"]:
        feed.root.add_key(new.public_key, "root")
    feed.new_root(*old, *feed.signers["root"])
    feed.publish()
    assert check().code == 0
    feed.new_root(*old)  # who held the old ones has no say any more
    ran = check()
    assert (ran.code, KEYS in ran.err) == (REFUSED, True)


def test_a_long_chain_of_roots_is_followed_to_a_bound(feed, check, home):
    for _ in range(300):
        feed.new_root()
    feed.publish()
    assert check().code == 0
    followed = list((home / "updates" / "metadata" / "root_history").iterdir())
    assert len(followed) == 257  # the first, and 256 rotations


def test_delegated_roles_offer_nothing(feed, check):
    """The feed is one publisher's; a delegation would be somebody else's word."""
    other: CryptoSigner = key()
    role = DelegatedRole("other", [other.public_key.keyid], 1, terminating=False, paths=["releases/*/*"])
    feed.targets.delegations = Delegations({other.public_key.keyid: other.public_key}, {"other": role})
    delegated = Targets(version=1, expires=feed.targets.expires)
    delegated.targets["releases/stable/talos-6.6.6.json"] = TargetFile(1, {"sha256": "0" * 64}, "x")
    feed.snapshot.meta["other.json"] = MetaFile(1)
    feed.publish()
    ran = check("--output", "json")
    assert ran.code == 0
    assert [each["name"] for each in ran.json["releases"]] == ["talos-1.13.9", "talos-1.13.8"]


def test_fast_forward_is_mended_by_exchanging_keys(feed, check, state):
    """Somebody with the keys drove all versions up; without fresh keys there is no way back."""
    for role in BELOW:
        getattr(feed, role).version = 2**31
    feed.publish()
    assert check().code == 0
    for role in BELOW:
        getattr(feed, role).version = 10
    feed.publish()
    before = state()
    assert OLDER in check().err
    feed.exchange("timestamp")
    feed.publish()
    assert OLDER in check().err  # snapshot and targets are still known by their old keys
    assert state() == before
    feed.exchange("snapshot", "targets")
    feed.publish()
    assert check().code == 0
    feed.targets.version -= 5
    feed.publish()
    assert OLDER in check().err  # and from there on it only goes up again


# --- our own two floors ---


def test_wiped_metadata_is_no_way_back(accepted, feed, check, home, state):
    import shutil

    first = feed.folder / "metadata"
    kept = {path.name: path.read_bytes() for path in first.iterdir()}
    feed.publish()
    assert check().code == 0
    shutil.rmtree(home / "updates" / "metadata")
    for path in first.iterdir():
        path.unlink()
    for name, data in kept.items():
        (first / name).write_bytes(data)
    before = state()
    ran = check()
    assert ran.code == REFUSED
    assert f"{OLDER} already: timestamp 2, 3 was seen" in ran.err
    assert state() == before


@pytest.mark.parametrize("role", ROLES)
def test_a_clock_set_back_makes_nothing_fresh(role, feed, check, home, state):
    from controller.wiring import open_services

    seen = datetime.now(UTC) + timedelta(days=40)
    getattr(feed, role).expires = (seen - timedelta(days=1)).replace(microsecond=0)
    fresh(feed, role)
    with open_services(home) as services:
        services.store.keep_time(seen, "")
    before = state()
    ran = check()
    assert ran.code == REFUSED
    assert f"stale: its {role} ended on" in ran.err
    assert "whatever this computer's clock shows" in ran.err
    assert state() == before


def test_another_publishers_feed_begins_anew(feed, cto, tmp_path):
    other = Feed(tmp_path / "other")
    other.release("1.0.0", 1)
    other.publish()
    assert KEYS in cto("update", "check", "--from", other.folder).err
    assert cto("update", "trust", other.first_root, "--url", other.folder, "--yes").code == 0
    ran = cto("update", "check", "--output", "json")
    assert [each["name"] for each in ran.json["releases"]] == ["talos-1.0.0"]
