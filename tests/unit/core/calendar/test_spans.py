"""Stretches of time as sets: against sets of minutes, and at their edges."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controller.core.calendar.spans import Span, clip, holding, subtract, total, union

MINUTE = timedelta(minutes=1)
BASE = datetime(2026, 10, 22, tzinfo=UTC)
numbers = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def of(*pairs):
    return [Span(BASE + a * MINUTE, BASE + b * MINUTE) for a, b in pairs]


def cover(spans):
    return {n for n in range(61) if any(BASE + n * MINUTE in span for span in spans)}


@given(numbers, numbers)
def test_spans_are_sets(left, right):
    a, b = of(*left), of(*right)
    assert cover(union(a)) == cover(a)
    assert cover(subtract(a, b)) == cover(a) - cover(b)
    assert total(union(a)) == len(cover(a)) * MINUTE
    whole = Span(BASE + 10 * MINUTE, BASE + 40 * MINUTE)
    assert cover(clip(union(a), whole)) == cover(a) & set(range(10, 40))
    for result in (union(a), subtract(a, b)):
        assert all(first.end < second.start for first, second in pairwise(result))


def test_union():
    assert list(union(of((5, 9), (1, 3), (3, 4), (20, 20), (9, 8)))) == of((1, 4), (5, 9))
    assert list(union(of((1, 9), (2, 3), (8, 12)))) == of((1, 12))
    assert union([]) == ()


def test_subtract():
    assert list(subtract(of((0, 10)), of((3, 4), (6, 7)))) == of((0, 3), (4, 6), (7, 10))
    assert list(subtract(of((5, 10)), of((0, 6), (9, 20)))) == of((6, 9))
    assert list(subtract(of((5, 10)), of((0, 5), (10, 20)))) == of((5, 10))
    assert list(subtract(of((5, 10)), of((5, 7)))) == of((7, 10))
    assert list(subtract(of((5, 10)), of((7, 10)))) == of((5, 7))
    assert subtract(of((5, 10)), of((5, 10))) == ()


def test_holding_and_clip():
    (first, second) = spans = of((1, 3), (5, 9))
    assert holding(spans, first.start) == first
    assert holding(spans, first.end) is None
    assert holding(spans, second.end - MINUTE) == second
    assert list(clip(spans, Span(BASE + 3 * MINUTE, BASE + 5 * MINUTE))) == []
    assert list(clip(spans, Span(BASE + 2 * MINUTE, BASE + 6 * MINUTE))) == of((2, 3), (5, 6))
