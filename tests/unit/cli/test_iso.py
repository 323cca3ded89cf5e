"""`cto iso` and `cto setup` where they refuse: the words, the exit code, and that nothing was made."""

from pathlib import Path

import click
import pytest

from controller.cli.base import App
from controller.cli.image_output import FileCommand

SITE = Path(__file__).parents[3] / "examples" / "appliance.yaml"


def test_a_key_file_that_is_not_there(cto, tmp_path):
    ran = cto("iso", "build", "--key", str(tmp_path / "none.pub"), "--out", str(tmp_path / "x.iso"))
    assert ran.code == 2
    assert "none.pub" in ran.err
    assert not (tmp_path / "x.iso").exists()


def test_an_address_without_a_prefix(cto, tmp_path):
    ran = cto("iso", "build", "--static", "10.0.0.5", "--out", str(tmp_path / "x.iso"))
    assert ran.code == 2
    assert "10.0.0.5/24" in ran.err


def test_the_image_of_a_node_that_no_site_file_knows(cto, tmp_path):
    ran = cto("iso", "build", "--node", "nobody", "-f", str(SITE), "--out", str(tmp_path / "x.iso"))
    assert ran.code == 2
    assert "no site file has a node 'nobody'" in ran.err


def test_a_time_that_is_none(cto, tmp_path):
    ran = cto("iso", "build", "--out", str(tmp_path / "x.iso"), environ={"SOURCE_DATE_EPOCH": "yesterday"})
    assert ran.code == 2
    assert "SOURCE_DATE_EPOCH" in ran.err


def test_a_file_is_not_written_as_if_it_were_a_stick(cto, tmp_path):
    (tmp_path / "x.iso").touch()
    ran = cto("iso", "write", "--image", str(tmp_path / "x.iso"), "--yes", str(tmp_path / "x.iso"))
    assert ran.code == 2
    assert "this is no disk" in ran.err


def test_setting_up_is_for_a_machine_that_was_started_from_the_image(cto, tmp_path):
    ran = cto("setup", "init", "-f", str(SITE), "--keep", str(tmp_path))
    assert ran.code == 2
    assert "not a machine that was started from the image" in ran.err


def test_virtual_machines_want_an_image(cto, tmp_path):
    ran = cto("lab", "up", "--qemu", "--image", str(tmp_path / "none.iso"))
    assert ran.code == 2
    assert "cto iso build" in ran.err


@pytest.fixture
def parsed():
    """What `--output` of a command that makes a file comes to: its format and its file."""

    def parse(*argv):
        @click.command("make", cls=FileCommand, made="It.", example="cto make")
        @click.pass_obj
        def make(app, /, output):
            return app.output, output

        return make.main(list(argv), standalone_mode=False, obj=App())

    return parse


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ((), ("text", None)),
        (("--output", "json"), ("json", None)),
        (("--output", "a.iso"), ("text", Path("a.iso"))),
        (("-o", "a.iso", "--output", "json"), ("json", Path("a.iso"))),
        (("--output=json", "--out=a.iso"), ("json", Path("a.iso"))),
        (("--output", "./json"), ("text", Path("json"))),
    ],
)
def test_output_is_a_format_or_the_file(parsed, argv, found):
    assert parsed(*argv) == found


def test_two_files_or_a_folder_are_no_place_for_an_image(cto, tmp_path):
    ran = cto("iso", "build", "--output", "a.iso", "--out", "b.iso")
    assert ran.code == 2
    assert "two files" in ran.err
    ran = cto("iso", "build", "--output", tmp_path)
    assert ran.code == 2
    assert "is a folder" in ran.err


def test_an_image_of_another_architecture_says_what_is_missing(cto):
    ran = cto("iso", "build", "--arch", "arm64")
    assert ran.code == 2
    assert "arm64 is not built yet" in ran.err
    assert "linux-image-arm64" in ran.err


def test_site_files_of_many_sites_need_the_one(cto):
    many = str(SITE.parent / "forty-sites")
    ran = cto("iso", "build", "--site", many)
    assert ran.code == 2
    assert "--for-site" in ran.err
    ran = cto("iso", "build", "--site", many, "--for-site", "nowhere")
    assert ran.code == 2
    assert "no site file has a site 'nowhere'" in ran.err


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_whole_token_is_refused_without_being_said_again(cto, home, tmp_path, output):
    """Before anything else is looked at, even files that are not there."""
    token = "CTO1-AAAQEAYEAU-A4EASCQLBQGQ4DYQCEJBGFAVCY"  # made of counted bytes, good for nothing
    ran = cto("iso", "build", "--enroll", token, "--site", tmp_path / "none.yaml", "--output", output)
    assert ran.code == 2
    assert "this is the token itself, which is a secret" in ran.err + ran.out
    assert "cto token revoke" in ran.err + ran.out
    written = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    for text in (ran.err, ran.out, *(each.decode("latin-1") for each in written)):
        assert "A4EASCQ" not in text


def test_an_air_gapped_image_wants_a_site(cto):
    ran = cto("iso", "build", "--air-gapped")
    assert ran.code == 2
    assert "no site file" in ran.err


def test_the_question_names_the_stick_and_what_is_on_it():
    from controller.cli.commands.iso import _described
    from iso.build.stick import Stick

    found = Stick(Path("/dev/sdb"), 31037849600, "Ultra \x1b[2J", "4C53", ("vfat HOLIDAY", "ext4"))
    told = _described(found)
    assert told.startswith("/dev/sdb (28.9 GiB, Ultra ")
    assert told.endswith("4C53; on it: vfat HOLIDAY, ext4)")
    assert "\x1b" not in told  # a stick says its own name
    assert _described(Stick(Path("/dev/sdb"), 31037849600, "", "")) == "/dev/sdb (28.9 GiB, no name)"


def test_what_a_broken_off_write_left_is_said_instead_of_nothing_is_lost(capsys):
    from controller.cli.errors import report

    assert report(KeyboardInterrupt("/dev/sdb holds a part of the image"), App()) == 130
    told = capsys.readouterr().err
    assert "/dev/sdb holds a part of the image" in told
    assert "nothing is lost" not in told
    assert report(KeyboardInterrupt(), App()) == 130
    assert "nothing is lost" in capsys.readouterr().err
