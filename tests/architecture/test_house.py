"""The house rules that no linter knows. Each rule has a sentence that says why."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("inventory", "facts", "roles", "deploys", "iso", "web", "controller")
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
TEXTS = sorted(
    p
    for pattern in ("*.md", "*.py", "*.toml", "*.yaml", "*.sh", "Makefile")
    for p in ROOT.rglob(pattern)
    if not {".venv", ".git", "artifacts", ".hypothesis"} & set(p.parts)
)


def rel(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_says_what_it_is() -> None:
    silent = [
        rel(p) for p in SOURCES if p.stat().st_size and ast.get_docstring(ast.parse(p.read_text())) is None
    ]
    assert silent == []


def test_modules_stay_small() -> None:
    """Most under 300 lines; a larger one needs its name here, with the reason."""
    allowed: dict[str, str] = {}
    large = {rel(p): n for p in SOURCES if (n := p.read_text().count("\n")) > 300 and rel(p) not in allowed}
    assert large == {}


def test_no_assert_in_sources() -> None:
    """python -O removes asserts; a check that matters raises InvariantError."""
    found = [
        f"{rel(p)}:{n.lineno}"
        for p in SOURCES
        for n in ast.walk(ast.parse(p.read_text()))
        if isinstance(n, ast.Assert)
    ]
    assert found == []


def test_nothing_is_swallowed_in_silence() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
            if broad and all(isinstance(b, ast.Pass | ast.Continue) for b in node.body):
                found.append(f"{rel(path)}:{node.lineno}")
    assert found == []


def test_ssh_is_never_without_known_hosts() -> None:
    """asyncssh accepts any server with known_hosts=None; extractall is not safe on Python before 3.11.13."""
    forbidden = re.compile(r"known_hosts\s*=\s*None|extractall\(")
    assert [rel(p) for p in SOURCES if forbidden.search(p.read_text())] == []


def test_two_inits_stay_empty() -> None:
    """Importing the runner must not import the controller's world, which gevent would patch too late."""
    for name in ("controller/__init__.py", "controller/runner/__init__.py"):
        assert (ROOT / name).read_text() == ""


def test_make_has_at_most_ten_targets() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "check", "lint", "docs"} <= set(targets)
    assert len(targets) <= 10


def test_lock_names_no_host() -> None:
    assert not re.search(r"https?://", (ROOT / "requirements.lock").read_text())


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").exists()


def test_tests_use_peers_not_patches() -> None:
    """A patched object proves that the patch works."""
    pattern = re.compile(r"\bpatch\(|patch\.object\(|\bMock\(|MagicMock|mocker\.")
    found = [
        rel(p)
        for p in (ROOT / "tests").rglob("test_*.py")
        if pattern.search(p.read_text()) and p != Path(__file__)
    ]
    assert found == []
