"""Settings of a bootstrap environment: the real shell in a folder, and whatever a machine might say instead."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts import script
from inventory.errors import InvariantError
from roles.settings import (
    Directory,
    File,
    Line,
    Setting,
    Sysctl,
    commands,
    declared,
    from_data,
    summary,
    title,
    to_data,
)
from roles.settings_probe import Seen, difference, probe

BOUNDARY = "b" * 32
printable = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20),
    st.just("-v"),
)
names = st.sampled_from(["a", "b.conf", "c+d", "-n", "e@1:2,3"])
# What a file may hold, and what a shell would take for its own.
contents = st.one_of(st.text(max_size=60).filter(lambda text: "\0" not in text), st.just("'$(x)`\\n\\\n"))
modes = st.sampled_from(["600", "644", "755"])


def look(wanted: tuple[Setting, ...]) -> Seen:
    """What the real shell answers, through the framing that the controller uses."""
    spec = probe(wanted)
    done = subprocess.run(
        ["sh", "-c", script.build([spec], boundary=BOUNDARY)], capture_output=True, check=True
    )
    return script.read(spec, script.split(done.stdout, [spec], BOUNDARY).get(spec.name))


def bring_about(found: tuple[Setting, ...]) -> None:
    for setting in found:
        subprocess.run(["sh", "-c", commands(setting)], check=True, capture_output=True)


@st.composite
def wanted_below(draw: st.DrawFn, root: Path) -> tuple[Setting, ...]:
    directories = [Directory(f"{root}/d/{name}", draw(modes)) for name in draw(st.sets(names))]
    files = [File(f"{root}/f/{name}", draw(contents), draw(modes)) for name in draw(st.sets(names))]
    lines = [
        Line(f"{root}/l/{name}", text)
        for name in draw(st.sets(names, max_size=2))
        for text in draw(st.sets(printable, max_size=3))
    ]
    return (*directories, *files, *lines)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_differs_after_it_was_brought_about(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    wanted = data.draw(wanted_below(tmp_path_factory.mktemp("machine")))
    missing = difference(wanted, look(wanted))
    assert set(missing) == set(wanted), "nothing is there yet"
    bring_about(missing)
    assert difference(wanted, look(wanted)) == ()


@pytest.fixture
def wanted(tmp_path: Path) -> tuple[Setting, ...]:
    return (
        Directory(f"{tmp_path}/data", "750"),
        File(f"{tmp_path}/etc/motd", "it's ours\n", "600"),
        File(f"{tmp_path}/etc/empty", ""),
        Line(f"{tmp_path}/etc/hosts", "192.0.2.7 mirror"),
        Line(f"{tmp_path}/etc/hosts", "192.0.2.8 other"),
    )


def test_each_drift_is_found_and_only_it(wanted: tuple[Setting, ...], tmp_path: Path):
    bring_about(wanted)
    (tmp_path / "etc/motd").write_text("another\n")
    (tmp_path / "data").chmod(0o700)
    (tmp_path / "etc/hosts").write_text("192.0.2.8 other\n192.0.2.7 mirror.example")
    found = difference(wanted, look(wanted))
    assert found == (wanted[0], wanted[1], wanted[3])
    bring_about(found)
    assert difference(wanted, look(wanted)) == ()
    # The last line had no end: ours did not run into it.
    assert "192.0.2.7 mirror.example\n192.0.2.7 mirror\n" in (tmp_path / "etc/hosts").read_text()


def test_a_directory_in_a_files_place_is_an_error(tmp_path: Path):
    (tmp_path / "x").mkdir()
    done = subprocess.run(
        ["sh", "-c", commands(File(f"{tmp_path}/x", "a"))], capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"is a directory" in done.stderr
    assert list((tmp_path / "x").iterdir()) == []


def test_a_link_in_a_files_place_is_replaced_not_followed(tmp_path: Path):
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "x").symlink_to(tmp_path / "target")
    bring_about((File(f"{tmp_path}/x", "ours"),))
    assert (tmp_path / "target").read_text() == "theirs"
    assert not (tmp_path / "x").is_symlink()


@given(st.text(max_size=300))
def test_any_answer_is_read(text: str):
    asked = (Directory("/a"), File("/b", "x"), Line("/c", "y"), Sysctl("vm.swappiness", "10"))
    assert isinstance(probe(asked).parse(text), Seen)


def test_kernel_settings_are_compared_as_words():
    asked = (Sysctl("net.ipv4.ip_local_port_range", "1024 65000"),)
    answer = "\t@\n\t@\n/proc/sys/net/ipv4/ip_local_port_range:1024\t65000\n"
    assert difference(asked, probe(asked).parse(answer)) == ()
    assert difference(asked, probe(asked).parse(answer.replace("65000", "65001"))) == asked


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("vm.swappiness", "vm/swappiness"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_a_kernel_settings_place(key: str, path: str):
    assert Sysctl(key, "1").path == f"/proc/sys/{path}"


def test_data_survives_the_way_to_the_runner(wanted: tuple[Setting, ...]):
    assert from_data(to_data(wanted)) == wanted
    with pytest.raises(InvariantError):
        from_data([{"kind": "user", "path": "/x"}])


def test_what_a_site_file_says_becomes_settings():
    tree = {
        "directories": {"/srv/b": {"mode": "0755"}, "/srv": {"mode": "0700"}},
        "files": {"/etc/x": {"content": "1\n", "mode": "0644"}},
        "lines": {"/etc/y": ["a", "a", "b"]},
        "sysctls": {"vm.swappiness": "10"},
    }
    found = declared(tree)
    assert [title(each) for each in found] == [
        "directory /srv",
        "directory /srv/b",
        "file /etc/x",
        "line in /etc/y",
        "line in /etc/y",
        "sysctl vm.swappiness",
    ]
    assert summary(found) == "2 directories, 1 file, 2 lines, 1 sysctl"
    assert declared({}) == ()
    assert summary(()) == ""
