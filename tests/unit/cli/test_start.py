"""Ctrl-C in the first moments of any command: one line, exit code 130, no traceback."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from web.ports import EXIT_CANCELLED

ROOT = Path(__file__).parents[3]
# Says when it can be interrupted: the interpreter's own start, before our first line, is not ours to guard.
PROGRAM = "import os; from controller.cli import start; start.guard(); os.write(1, b'.'); start.main()"
COMMANDS = (["status"], ["events", "--follow", "--output", "json"], ["discover", "--seconds", "60"])


def interrupted(home: Path, argv: list[str], after: float) -> tuple[int, str]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *argv],
        env={"CTO_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == "."
        time.sleep(after)  # the point of this test is that it does not matter when
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
def test_it_does_not_matter_when_it_comes(tmp_path: Path, argv: list[str]) -> None:
    for step in range(16):
        code, errors = interrupted(tmp_path, argv, step * 0.015)
        assert code == EXIT_CANCELLED or (code == 0 and argv == ["status"]), (step, code, errors)
        assert "Traceback" not in errors, step
        assert "Exception ignored" not in errors, step
        if code == 0:
            continue
        if "json" in argv:
            assert json.loads(errors)["error"]["slug"] == "cancelled"
        else:
            assert errors.splitlines()[-2:] == [
                "error: stopped",
                "  → nothing is lost; run it again to go on",
            ]


def test_the_program_that_is_installed_starts_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"cto": "controller.cli.start:main"}


def test_what_is_lost_in_a_finalizer_is_told_as_ever_or_raised_again() -> None:
    code = (
        "from controller.cli import start; start.guard()\n"
        "class Loud:\n"
        "    def __init__(self, error): self.error = error\n"
        "    def __del__(self): raise self.error\n"
        "Loud(ValueError('of a finalizer'))\n"
        "Loud(KeyboardInterrupt())\n"
        "for _ in range(10**9): pass\n"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXIT_CANCELLED
    assert "of a finalizer" in done.stderr
    assert "KeyboardInterrupt" not in done.stderr
