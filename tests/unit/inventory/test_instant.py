"""A moment that somebody typed, on the command line or on a page."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from inventory.moments import instant


@pytest.mark.parametrize("text", ["2026-12-05T18:00:00Z", "2026-12-05T19:00:00+01:00", "2026-12-05T18:00Z"])
def test_it_is_one_moment_however_it_is_written(text):
    assert instant(text) == datetime(2026, 12, 5, 18, tzinfo=UTC)
    assert instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "now", "2026-12-05", "2026-12-05T18:00:00", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_none_is_refused_with_its_place(text):
    with (
        pytest.raises(OperatorError, match="--until: ")
        if "0001" not in text
        else pytest.raises(OperatorError)
    ):
        instant(text, "--until")


@given(st.text(max_size=60))
def test_any_text_is_a_moment_or_an_error(text):
    with suppress(OperatorError):
        assert instant(text).tzinfo is UTC
