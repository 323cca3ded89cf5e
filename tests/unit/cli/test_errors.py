"""How a command ends: messages, exit codes, and what is kept of a crash."""

import json
import re
import stat

import pytest

from controller.cli.base import App
from controller.cli.errors import exit_code, report
from controller.cli.text import clean, clean_block
from inventory import errors
from web.ports import ERROR_TABLE

CASES = [
    (errors.OperatorError("w", fix="f"), 2),
    (errors.RefusedError("w", fix="f"), 2),
    (errors.StoreError("w", fix="f"), 2),
    (errors.BusyError("w", fix="f"), 3),
    (errors.Unreachable("w", where="n1", fix="f"), 4),
    (errors.HostKeyMismatch("w", where="n1", fix="f"), 4),
    (errors.TransportError("w", fix="f"), 4),
    (errors.InvariantError("w", fix="f"), 1),
    (errors.FleetError("w", fix="f"), 1),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=lambda value: type(value).__name__)
def test_families_have_their_codes(error, code, capsys):
    app = App()
    assert exit_code(error) == code
    assert report(error, app) == code
    said = capsys.readouterr().err
    assert "w" in said
    assert "→ f" in said
    app.output = "json"
    report(error, app)
    assert json.loads(capsys.readouterr().err)["error"]["slug"] == error.slug


def test_every_error_class_is_in_the_table():
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.FleetError)]
    assert all(any(issubclass(c, family) for family, _, _ in ERROR_TABLE) for c in classes)


def test_ctrl_c_says_that_nothing_is_lost(capsys):
    assert report(KeyboardInterrupt(), App()) == 130
    assert "nothing is lost" in capsys.readouterr().err


def test_a_bug_is_kept_in_a_private_file_and_not_shown(tmp_path, capsys):
    app = App(home=tmp_path / "home")
    assert report(RuntimeError("canary-in-message"), app) == 1
    said = capsys.readouterr().err
    error_id = re.search(r"id ([0-9a-f]{8})", said).group(1)
    log = tmp_path / "home" / "logs" / f"error-{error_id}.log"
    assert "canary-in-message" in log.read_text()
    assert "canary-in-message" not in said
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_bug_without_a_place_for_the_log_is_shown(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert report(RuntimeError("where"), App(home=tmp_path / "file")) == 1
    assert "RuntimeError: where" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dirty", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x00b", "a\ufffdb"),
        ("a\u202eb", "a\ufffdb"),
        ("a\u200bb", "a\ufffdb"),
        ("two\nlines", "two lines"),
        ("é", "é"),
        ("\x9b31mx", "x"),
    ],
)
def test_clean(dirty, shown):
    assert clean(dirty) == shown


def test_clean_has_a_limit():
    assert len(clean("x" * 10_000)) == 256
    assert clean_block("a\n  b\x1b[2J") == "a\n  b"


def test_machine_texts_can_not_act_on_the_terminal(cto, fleet, make_store):
    from pathlib import Path

    payloads = json.loads((Path(__file__).parents[2] / "fixtures/web/hostile.json").read_text())["payloads"]
    with make_store() as store:
        for payload in payloads:
            store.event("StepFailed", "node/berlin-w-1", payload, {})
        store.set_problem("node/berlin-w-1", "\n".join(payloads))
        store.touch("berlin-w-1", talos="".join(payloads))
    for argv in (
        ["status"],
        ["events"],
        ["node", "show", "berlin-w-1"],
        ["node", "list"],
        ["cluster", "show"],
    ):
        out = cto(*argv).out
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out), argv
        json_out = cto(*argv, "--output", "json").out
        assert json_out.isascii()


def test_rich_shows_markup_as_text():
    import io
    from datetime import UTC, datetime

    from rich.console import Console

    from controller.cli.progress import picture
    from web.ports import EventView, NodeView

    node = NodeView(
        "[bold]n",
        "[red]site[/red]",
        "c",
        "worker",
        "prepared",
        "a",
        step="image",
        done=5,
        total=10,
        problem="",
    )
    event = EventView(1, "", "K", "node/[x]", "[link=http://e]m[/link]\x1b[2J")
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(picture([node], [event], datetime(2026, 3, 2, tzinfo=UTC)))
    shown = console.file.getvalue()
    for text in (
        "[bold]n",
        "[red]site[/red]",
        "[x]",
        "[link=http://e]m[/link]",
        "5 B of 10 B",
        "write the image",
    ):
        assert text in shown
    assert "\x1b" not in shown


def test_what_goes_wrong_before_the_options_are_read_is_json_too(cto):
    for argv in (("status", "--bogus", "--output", "json"), ("nosuch", "--output=json")):
        ran = cto(*argv)
        assert ran.code == 2
        assert json.loads(ran.err)["error"]["slug"] == "usage"
