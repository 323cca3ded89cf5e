"""Every command block of README and docs runs, in order, as a reader would type it.

Blocks marked `sh` are run; `sh hardware` needs machines we do not have, `sh this-test` is the command that runs
this test. Any other mark on a shell block is an error, so that nothing goes unrun by accident.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "shell", "console", "shell-session"}
UNRUN = {"hardware", "this-test"}
PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(m[1].strip(), m[2]) for m in BLOCK.finditer(page.read_text())]


def runnable(page: Path) -> list[str]:
    return [body for info, body in blocks(page) if info == "sh"]


def test_marks_are_known() -> None:
    wrong = []
    for page in PAGES:
        for info, _ in blocks(page):
            words = info.split()
            if (
                words
                and words[0] in SHELLS
                and not (words == ["sh"] or (words[0] == "sh" and set(words[1:]) <= UNRUN))
            ):
                wrong.append(f"{page.relative_to(ROOT)}: ```{info}")
    assert wrong == []


def test_readme_begins_with_the_two_commands() -> None:
    commands = [body.strip() for _, body in blocks(ROOT / "README.md")][:2]
    assert commands == ["make demo", "make test"]


@pytest.mark.parametrize("page", [p for p in PAGES if runnable(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(ROOT / "examples", work / "examples")
    for name in ("Makefile", "scripts", "pyproject.toml", "requirements.lock", ".venv"):
        (work / name).symlink_to(ROOT / name)
    script = "set -eu\n" + "\n".join(runnable(page))
    env = {
        **os.environ,
        "CTO_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=work,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    finally:
        for args in (["demo", "--stop"], ["lab", "down"]):
            subprocess.run(
                [str(Path(sys.executable).with_name("cto")), *args],
                env=env,
                capture_output=True,
                check=False,
                timeout=60,
            )
    assert done.returncode == 0, (
        f"{script}\n--- stdout\n{done.stdout[-3000:]}\n--- stderr\n{done.stderr[-3000:]}"
    )


def test_links_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
    broken = [
        f"{page.relative_to(ROOT)} → {target}"
        for page in PAGES
        for target in link.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")]
    assert [page for page in sorted(pages) if f"({page})" not in readme] == []
