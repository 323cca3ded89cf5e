"""The log of `cto serve`: one line each, whatever somebody sent, with the time in UTC."""

import logging
import re
import sys

from hypothesis import given
from hypothesis import strategies as st

from controller.cli.logs import LineFormatter


def record(text, *args, exc_info=None):
    return logging.LogRecord("web.app", logging.WARNING, "x.py", 1, text, args, exc_info)


@given(st.text(), st.text())
def test_nothing_begins_a_line_of_its_own(message, value):
    line = LineFormatter().format(record("%s %s", message, value))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING web\.app: ", line)


def test_a_traceback_is_indented():
    try:
        int("first\n2026-01-01T00:00:00.000Z ERROR made up")
    except ValueError:
        text = LineFormatter().format(record("bug", exc_info=sys.exc_info()))
    first, *rest = text.splitlines()
    assert first.endswith("bug")
    assert all(line.startswith("    ") for line in rest)
