"""Bundles that somebody changed on the way. Each is refused with a sentence of its own, by `verify` and by `import`.

A bundle is no archive, so what archives are attacked by (names, links, devices, sizes) is tried as real files.
"""

import io
import os
import shutil
import socket
import tarfile
from datetime import UTC, datetime

import pytest

REFUSED = 2  # exit code


def image(bundle):
    return next(bundle.glob("targets/files/*/*.zst"))


def description(bundle):
    return next(bundle.glob("targets/releases/*/*1.13.9.json"))


def metadata(bundle, role):
    return next(bundle.glob(f"metadata/*{role}.json"))


def secret(bundle):
    """Something of this computer that must not be taken for a part of a bundle."""
    path = bundle.parent / "secret"
    path.write_bytes(image(bundle).read_bytes())
    return path


def replaced(pick, make):
    """`make` something else in the place of a file that belongs there."""

    def bend(bundle):
        path, outside = pick(bundle), secret(bundle)
        path.unlink()
        make(path, outside)

    return bend


def added(name, make=lambda path: path.write_bytes(b"x")):
    def bend(bundle):
        path = bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)

    return bend


def socket_at(path):
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY)  # its own path may be longer than a socket's can be
        try:
            made.bind(f"/proc/self/fd/{here}/s")
        finally:
            os.close(here)


def rewritten(pick, change):
    def bend(bundle):
        path = pick(bundle)
        path.chmod(0o600)
        path.write_bytes(change(path.read_bytes()))

    return bend


def folder_is_link(bundle):
    (bundle / "targets").rename(bundle.parent / "elsewhere")
    (bundle / "targets").symlink_to(bundle.parent / "elsewhere")


def bundle_is_link(bundle):
    bundle.rename(bundle.parent / "real")
    bundle.symlink_to(bundle.parent / "real")


def bundle_is_archive(bundle):
    """As published exploits of unpackers look: names that lead out, a link and a file through it."""
    bundle.rename(bundle.parent / "real")
    with tarfile.open(bundle, "w") as tar:
        for name in ("../../etc/cron.d/x", "/etc/passwd", "a/../../b"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)


def many(bundle):
    for number in range(1001):
        (bundle / f"targets/{number}").write_bytes(b"")


def many_folders(bundle):
    for number in range(2001):
        (bundle / f"targets/f{number}").mkdir()


def deep(bundle):
    path = bundle / "/".join(["targets", *"abcdefghij"])
    path.mkdir(parents=True)


def sparse(path):
    """Ten terabytes that take no room here: what a zip bomb is for a folder."""
    with path.open("wb") as file:
        file.truncate(10 * 1024**4)


def swapped(bundle):
    """Two files that were signed, each in the other's place."""
    one, two = image(bundle), description(bundle)
    one.rename(bundle / "x")
    two.rename(one)
    (bundle / "x").rename(two)


ATTACKS = {
    "a link in a file's place": (replaced(image, lambda p, out: p.symlink_to(out)), "zst is a link"),
    "a link to a device": (replaced(image, lambda p, out: p.symlink_to("/dev/zero")), "is a link"),
    "a hard link": (replaced(image, lambda p, out: p.hardlink_to(out)), "is a hard link"),
    "a FIFO": (replaced(image, lambda p, out: os.mkfifo(p)), "a device, a FIFO or a socket"),
    "a socket": (added("targets/x", socket_at), "targets/s is a device, a FIFO or a socket"),
    "a folder in a file's place": (replaced(image, lambda p, out: p.mkdir()), "none"),
    "metadata that is a link": (
        replaced(lambda b: b / "metadata/timestamp.json", lambda p, out: p.symlink_to(out)),
        "timestamp.json is a link",
    ),
    "a folder that is a link": (folder_is_link, "targets is a link"),
    "the bundle is a link": (bundle_is_link, "a bundle is a folder"),
    "the bundle is an archive": (bundle_is_archive, "archives are not unpacked"),
    "a file nobody signed": (added("targets/files/evil.zst"), "evil.zst is not named by the signed metadata"),
    "a file beside it": (added("install.sh"), "install.sh is not named by the signed metadata"),
    "a program among the metadata": (added("metadata/run.sh"), "metadata/run.sh is not named"),
    "a hidden file": (added("targets/.hidden"), "no name that a bundle has"),
    "a name with a line break": (added("targets/a\nb"), r"'targets/a\nb' is no name"),
    "a name that is written backwards": (added("targets/gnp\u202e.exe"), r"gnp\u202e.exe' is no name"),
    "a name with an escape sequence": (added("targets/\x1b]0;x\x07"), r"\x1b]0;x\x07' is no name"),
    "an encoded way out": (added("targets/..%2f..%2fetc"), "no name that a bundle has"),
    "a backslash": (added("targets/..\\evil"), "no name that a bundle has"),
    "a name that is not UTF-8": (added(os.fsdecode(b"targets/\xff")), "no name that a bundle has"),
    "a blank in a name": (added("targets/a b"), "no name that a bundle has"),
    "a name that begins with a dash": (added("targets/-rf"), "no name that a bundle has"),
    "too many files": (many, "more than 1000 files"),
    "too many folders": (many_folders, "more than 1000 files"),
    "folders too deep": (deep, "no name that a bundle has"),
    "a file without end": (added("targets/big", sparse), "not named by the signed metadata"),
    "metadata without end": (added("metadata/7.root.json", sparse), "longer than metadata may be"),
    "one byte more": (rewritten(image, lambda data: data + b"x"), "8001 bytes, 8000 were signed"),
    "one byte less": (rewritten(image, lambda data: data[:-1]), "7999 bytes, 8000 were signed"),
    "one bit flipped": (
        rewritten(image, lambda data: data[:4000] + bytes([data[4000] ^ 1]) + data[4001:]),
        "zst is not the file that",
    ),
    "one bit of a description flipped": (
        rewritten(description, lambda data: data.replace(b"1.13.9", b"1.13.8", 1)),
        "not the file that the signed metadata names",
    ),
    "two files exchanged": (swapped, "more than may come"),
    "a description missing": (lambda b: description(b).unlink(), "it is not whole"),
    "no timestamp": (lambda b: metadata(b, "timestamp").unlink(), "it is not whole"),
    "no snapshot": (lambda b: metadata(b, "snapshot").unlink(), "it is not whole"),
    "no targets": (lambda b: metadata(b, "targets").unlink(), "it is not whole"),
    "metadata cut short": (
        rewritten(lambda b: metadata(b, "targets"), lambda data: data[:-9]),
        "metadata can't be used",
    ),
    "metadata changed": (
        rewritten(
            lambda b: metadata(b, "targets"), lambda data: data.replace(b'"version":2', b'"version":3')
        ),
        "too few of the keys",
    ),
}
HARMLESS = "a folder in a file's place"  # to somebody: the release is not whole, and is not brought in


@pytest.mark.parametrize("verb", ["verify", "import"])
@pytest.mark.parametrize("name", [name for name in ATTACKS if name != HARMLESS])
def test_refused_and_nothing_changed(name, verb, bundle, far, cto, state):
    bend, words = ATTACKS[name]
    before = state(far)
    bend(bundle)
    ran = cto("bundle", verb, bundle, to=far)
    assert ran.code == REFUSED, ran.err
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err
    assert state(far) == before


def test_a_release_without_its_file_is_only_described(bundle, far, cto):
    bend, _ = ATTACKS[HARMLESS]
    bend(bundle)
    ran = cto("bundle", "import", bundle, "--output", "json", to=far)
    assert (ran.code, ran.json["releases"]) == (0, [])
    assert cto("update", "list", to=far).out.count("not staged") == 2


def test_a_bundle_of_yesterday_is_refused(bundle, feed, far, cto, state, tmp_path):
    feed.publish()
    assert cto("bundle", "create", tmp_path / "new", "--metadata-only", "--from", feed.folder).code == 0
    assert cto("bundle", "import", tmp_path / "new", to=far).code == 0
    before = state(far)
    for verb in ("verify", "import"):
        ran = cto("bundle", verb, bundle, to=far)
        assert ran.code == REFUSED
        assert "older than what was accepted already" in ran.err
    assert state(far) == before


def ended(made):
    made.timestamp.expires = datetime(2020, 1, 1, tzinfo=UTC)
    made.timestamp.version += 1
    made.write("timestamp")


def by_one_key_of_two(made):
    made.new_root(made.signers["root"][0])


def by_a_thief(made):
    """The key of targets was exchanged; who has the old one goes on signing."""
    thief = made.signers["targets"]
    made.exchange("targets")
    made.signers["targets"] = thief
    made.publish()


@pytest.mark.parametrize("verb", ["verify", "import"])
@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (ended, "the feed is stale"),
        (by_one_key_of_two, "too few of the keys"),
        (by_a_thief, "too few of the keys"),
    ],
)
def test_metadata_that_must_not_be_believed_is_not(bend, words, verb, bundle, feed, far, cto, state):
    """Signed by whoever holds some of the publisher's keys, and laid into a bundle that is whole otherwise."""
    before = state(far)
    bend(feed.copy(bundle))
    ran = cto("bundle", verb, bundle, to=far)
    assert (ran.code, words in ran.err) == (REFUSED, True), ran.err
    assert state(far) == before


def test_a_bundle_of_yesterday_is_refused_where_the_metadata_was_wiped(bundle, feed, far, cto, tmp_path):
    feed.publish()
    assert cto("bundle", "create", tmp_path / "new", "--metadata-only", "--from", feed.folder).code == 0
    assert cto("bundle", "import", tmp_path / "new", to=far).code == 0
    shutil.rmtree(far / "updates" / "metadata")
    ran = cto("bundle", "import", bundle, to=far)
    assert (ran.code, "older than what was accepted already" in ran.err) == (REFUSED, True)


def test_a_bundle_of_another_publisher_is_refused(far, cto, state, tmp_path):
    from tests.peers_feed import Feed

    other = Feed(tmp_path / "other")
    other.release("6.6.6", 99)
    other.publish()
    before = state(far)
    ran = cto("bundle", "import", other.folder, to=far)
    assert ran.code == REFUSED
    assert "too few of the keys" in ran.err
    assert state(far) == before


def test_a_release_that_was_withdrawn_is_not_brought_in(bundle, feed, far, cto, tmp_path):
    feed.release("1.14.0", 3, files={"a.zst": (b"new", "")}, floor=3)
    feed.publish()
    words = ("--release", "talos-1.14.0", "--release", "talos-1.13.9", "--from", feed.folder)
    assert cto("bundle", "create", tmp_path / "new", *words).code == 0
    ran = cto("bundle", "import", tmp_path / "new", "--output", "json", to=far)
    assert ran.json["releases"] == ["talos-1.14.0"]
    assert len(list(far.glob("updates/files/*/*"))) == 1
    shown = cto("update", "list", to=far).out
    assert shown.count("withdrawn") == 2
