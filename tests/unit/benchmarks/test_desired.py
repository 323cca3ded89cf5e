"""The twenty items: the probe by a real shell, drift found, mended and found right, nothing touched when right."""

import subprocess
from pathlib import Path

from benchmarks import desired


def sh(script: str, host: str) -> str:
    env = {"PATH": "/usr/bin:/bin", "SSH_CONNECTION": f"127.0.0.1 1 {host} 22"}
    return subprocess.run(["sh", "-c", script], env=env, check=True, capture_output=True, text=True).stdout


def test_what_is_right_gives_no_difference_and_is_not_touched(tmp_path: Path) -> None:
    desired.install(tmp_path / "h")
    before = desired.fingerprint(tmp_path / "h")
    assert desired.right(tmp_path / "h")
    assert desired.difference(sh(desired.probe(tmp_path), "h")) == []
    assert desired.fingerprint(tmp_path / "h") == before


def test_drift_is_found_and_mended(tmp_path: Path) -> None:
    root = tmp_path / "h"
    desired.install(root)
    desired.drift(root)
    assert not desired.right(root)
    commands = desired.difference(sh(desired.probe(tmp_path), "h"))
    assert len(commands) == 6
    sh("\n".join(["set -e", f"cd '{root}'", *commands]), "h")
    assert desired.right(root)
    assert desired.difference(sh(desired.probe(tmp_path), "h")) == []


def test_writing_the_same_bytes_again_is_noticed(tmp_path: Path) -> None:
    desired.install(tmp_path)
    before = desired.fingerprint(tmp_path)
    file = tmp_path / desired.LINES_FILE
    file.write_text(file.read_text())
    assert desired.fingerprint(tmp_path) != before


def test_there_are_twenty() -> None:
    assert desired.COUNT == 20
    assert len(desired.difference("---\n---\n")) == 20
