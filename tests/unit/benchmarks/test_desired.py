"""The twenty items: by the product's probe in a real shell, drift found, mended and found right, nothing touched when right."""

import subprocess
from pathlib import Path

from benchmarks import desired
from facts import script
from inventory.resolve import load_files
from roles.settings import Setting, commands, declared
from roles.settings_probe import difference, probe


def missing(base: Path) -> tuple[Setting, ...]:
    wanted = declared(desired.bootstrap(base))
    spec = probe(wanted)
    done = subprocess.run(["sh", "-c", desired.probe(base)], check=True, capture_output=True)
    return difference(wanted, script.read(spec, script.split(done.stdout, [spec], "b" * 32).get(spec.name)))


def test_what_is_right_gives_no_difference_and_is_not_touched(tmp_path: Path) -> None:
    desired.install(tmp_path)
    before = desired.fingerprint(tmp_path)
    assert desired.right(tmp_path)
    assert missing(tmp_path) == ()
    assert desired.fingerprint(tmp_path) == before


def test_drift_is_found_and_mended(tmp_path: Path) -> None:
    desired.install(tmp_path)
    desired.drift(tmp_path)
    assert not desired.right(tmp_path)
    found = missing(tmp_path)
    assert len(found) == 6
    for setting in found:
        subprocess.run(["sh", "-c", commands(setting)], check=True)
    assert desired.right(tmp_path)
    assert missing(tmp_path) == ()


def test_writing_the_same_bytes_again_is_noticed(tmp_path: Path) -> None:
    desired.install(tmp_path)
    before = desired.fingerprint(tmp_path)
    file = tmp_path / desired.LINES_FILE
    file.write_text(file.read_text())
    assert desired.fingerprint(tmp_path) != before


def test_there_are_twenty(tmp_path: Path) -> None:
    assert desired.COUNT == 20
    assert len(missing(tmp_path)) == 20


def test_the_site_file_says_all_twenty_of_each_host(tmp_path: Path) -> None:
    text = desired.site(tmp_path, ["127.77.1.1", "127.77.1.2"], 2622)
    nodes = load_files({"site.yaml": text}).fleet.nodes
    assert [len(declared(node.bootstrap)) for node in nodes.values()] == [20, 20]
