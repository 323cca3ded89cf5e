"""`cto bundle`: made here, carried, looked at and brought in there; broken off at any moment and gone on with."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from controller.app import airgap, bundle_members, staging
from controller.app.feed_port import TargetInfo
from controller.wiring import open_services
from inventory.errors import OperatorError, RefusedError
from tests.unit.release.conftest import IMAGE, URL


def staged(home):
    return {path.name for path in home.glob("updates/files/*/*")}


def test_what_is_carried_lies_ready_there(bundle, far, cto):
    shown = cto("bundle", "verify", bundle, "--output", "json", to=far)
    assert shown.code == 0
    assert shown.json["releases"] == ["talos-1.13.9"]
    assert shown.json["others"] == ["talos-1.13.8"]
    assert shown.json["files"] == 3
    assert staged(far) == set()
    assert cto("update", "list", to=far).out.strip() == "no releases are known"
    ran = cto("bundle", "import", bundle, to=far)
    assert ran.code == 0
    assert "with all files: talos-1.13.9" in ran.out
    assert "good until" in ran.out
    (path,) = far.glob("updates/files/*/*")
    assert path.read_bytes() == IMAGE
    assert path.stat().st_mode & 0o777 == 0o400
    with open_services(far) as services:
        assert services.store.image_pin(URL) == path.name
    events = [json.loads(line) for line in cto("events", "--output", "json", to=far).out.splitlines()]
    assert [each["kind"] for each in events].count("ReleaseStaged") == 1
    assert cto("bundle", "import", bundle, to=far).code == 0  # again: nothing to do
    assert staged(far) == {path.name}


def test_metadata_alone_is_small_and_renews_the_dates(feed, far, cto, tmp_path, bundle):
    assert cto("bundle", "import", bundle, to=far).code == 0
    feed.publish()
    out = tmp_path / "dates"
    made = cto("bundle", "create", out, "--metadata-only", "--from", feed.folder, "--output", "json")
    assert (made.code, made.json["releases"]) == (0, [])
    assert sum(path.stat().st_size for path in out.rglob("*")) < 50_000
    assert cto("bundle", "import", out, to=far).code == 0
    assert "ready" in cto("update", "list", to=far).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--release"),
        (("--metadata-only", "--release", "talos-1.13.9"), "--metadata-only"),
        (("--release", "talos-0.0.1"), "there is talos-1.13.8, talos-1.13.9"),
    ],
)
def test_what_goes_along_must_be_clear(words, told, cto, feed, tmp_path):
    ran = cto("bundle", "create", tmp_path / "out", *words, "--from", feed.folder)
    assert ran.code == 2
    assert told in ran.err
    assert not list(tmp_path.glob("out*"))


def test_no_bundle_is_made_over_another(cto, bundle):
    ran = cto("bundle", "create", bundle, "--metadata-only")
    assert ran.code == 2
    assert "already" in ran.err


def test_a_feed_with_a_missing_file_makes_no_bundle_and_goes_on_later(cto, feed, tmp_path):
    name = next(name for name in feed.targets.targets if name.endswith(".zst"))
    path = feed.file(name)
    path.rename(tmp_path / "away")
    ran = cto("bundle", "create", tmp_path / "out", "--release", "talos-1.13.9", "--from", feed.folder)
    assert ran.code == 2
    assert "is not there" in ran.err
    assert not (tmp_path / "out").exists()
    (tmp_path / "away").rename(path)
    stray = tmp_path / "out.part" / "targets" / "of-an-older-version"
    stray.write_bytes(b"x")
    assert (
        cto("bundle", "create", tmp_path / "out", "--release", "talos-1.13.9", "--from", feed.folder).code
        == 0
    )
    assert cto("bundle", "verify", tmp_path / "out").code == 0
    assert not (tmp_path / "out.part").exists()


def test_files_that_lie_ready_are_not_fetched_for_a_bundle(cto, feed, tmp_path):
    assert cto("update", "stage", "talos-1.13.9", "--from", feed.folder).code == 0
    shutil.rmtree(feed.folder / "targets" / "files")
    assert (
        cto("bundle", "create", tmp_path / "out", "--release", "talos-1.13.9", "--from", feed.folder).code
        == 0
    )


class Stopped(BaseException):
    """Somebody pressed Ctrl-C."""


def test_import_goes_on_where_it_was_stopped(feed, far, cto, tmp_path):
    big = os.urandom(3 * 1024**2 + 7)
    feed.release("1.14.0", 3, files={"a.raw.zst": (big, ""), "b.raw.zst": (b"b" * 10, "")})
    feed.publish()
    out = tmp_path / "out"
    assert cto("bundle", "create", out, "--release", "talos-1.14.0", "--from", feed.folder).code == 0
    seen = []

    def stop(name, done, total):
        seen.append(done)
        if done >= 2 * 1024**2:
            raise Stopped

    with open_services(far) as services:
        with pytest.raises(Stopped):
            airgap.bring_in(services, out, stop, actor="ada")
        assert services.store.releases("stable") == ()
        (part,) = far.glob("updates/files/*/*.part")
        assert part.stat().st_size == 2 * 1024**2
        seen.clear()
        found = airgap.bring_in(services, out, lambda name, done, total: seen.append(done), actor="ada")
    assert found.releases == ("talos-1.14.0",)
    assert min(seen[:1]) > 2 * 1024**2  # not from its beginning
    assert not list(far.glob("updates/files/*/*.part"))
    assert not list(far.glob("updates/look-*"))


def test_import_survives_being_killed(feed, far, cto, tmp_path):
    """SIGKILL in the middle of a file; what a dead process leaves is in nobody's way."""
    feed.release("1.14.0", 3, files={"a.raw.zst": (os.urandom(3 * 1024**2), "")})
    feed.publish()
    out = tmp_path / "out"
    assert cto("bundle", "create", out, "--release", "talos-1.14.0", "--from", feed.folder).code == 0
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from controller.app import airgap\n"
        "from controller.wiring import open_services\n"
        "with open_services(Path(sys.argv[1])) as services:\n"
        "    airgap.bring_in(services, Path(sys.argv[2]),"
        " lambda *_: os.kill(os.getpid(), signal.SIGKILL), actor='ada')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, far, out], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert list(far.glob("updates/look-*"))
    assert cto("bundle", "import", out, to=far).code == 0
    assert not list(far.glob("updates/look-*"))
    assert "talos-1.14.0" in cto("update", "list", to=far).out


def test_a_part_that_rotted_is_refused_once_and_then_fetched_anew(bundle, far, cto, state):
    (image,) = bundle.glob("targets/files/*/*.zst")
    sha256 = image.name.split(".")[0]
    part = far / "updates" / "files" / sha256[:2] / f"{sha256}.new.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"rotten")
    ran = cto("bundle", "import", bundle, to=far)
    assert ran.code == 2
    assert not part.exists()
    assert cto("bundle", "import", bundle, to=far).code == 0


def test_a_staged_file_that_rotted_is_replaced(bundle, far, cto):
    assert cto("bundle", "import", bundle, to=far).code == 0
    (path,) = far.glob("updates/files/*/*")
    path.chmod(0o600)
    path.write_bytes(b"x" * len(IMAGE))
    assert cto("bundle", "import", bundle, to=far).code == 0
    assert path.read_bytes() == IMAGE


def test_a_refusal_takes_back_what_came_before_it(feed, far, cto, state, tmp_path):
    feed.release("1.14.0", 3, files={"a.raw.zst": (b"a" * 100, ""), "b.raw.zst": (b"b" * 100, "")})
    feed.publish()
    out = tmp_path / "out"
    assert cto("bundle", "create", out, "--release", "talos-1.14.0", "--from", feed.folder).code == 0
    (second,) = out.glob("targets/files/*/*b.raw.zst")
    second.chmod(0o600)
    second.write_bytes(b"c" * 100)
    before = state(far)
    ran = cto("bundle", "import", out, to=far)
    assert ran.code == 2
    assert state(far) == before


def test_a_tenth_of_the_disk_stays_free(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    staging.room(tmp_path / "not" / "yet", free // 2)
    with pytest.raises(OperatorError, match="a tenth of that is left alone"):
        staging.room(tmp_path, free)
    with pytest.raises(OperatorError, match="a tenth"):
        staging.room(tmp_path, free * 95 // 100)


def test_nothing_is_made_that_could_not_be_brought_in():
    bundle_members.countable(700)
    with pytest.raises(OperatorError, match="700 at most"):
        bundle_members.countable(701)


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a//b", "a/./b", "a/../b", "a\\b", "a\0b", ".x", "-x", "a b", "x" * 256, "/".join("a" * 11), ""]
)  # fmt: skip
def test_a_signed_name_that_is_odd_becomes_no_path(path):
    with pytest.raises(RefusedError, match="no name that a bundle has"):
        bundle_members.safe(path)


def test_content_and_length_are_both_compared(tmp_path):
    (tmp_path / "targets").mkdir()
    info = TargetInfo("x", 1, "0" * 64)
    (tmp_path / "targets" / info.stored_as).write_bytes(b"x")
    with pytest.raises(RefusedError, match="not the file that was signed"):
        bundle_members.hashed(tmp_path, info)
