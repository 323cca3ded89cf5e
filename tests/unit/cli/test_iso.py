"""`cto iso` and `cto setup` where they refuse: the words, the exit code, and that nothing was made."""

from pathlib import Path

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
