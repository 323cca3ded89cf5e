"""Stretches of time and the arithmetic on sets of them. A span has its start and not its end."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """[start, end), instants in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, disjoint. Spans that touch become one; empty ones vanish."""
    merged: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> tuple[Span, ...]:
    """What of `spans` is in none of the `holes`, in order and disjoint."""
    left = union(spans)
    for hole in union(holes):
        left = tuple(piece for span in left for piece in _without(span, hole))
    return left


def clip(spans: Iterable[Span], within: Span) -> tuple[Span, ...]:
    """The parts inside `within`."""
    cut = (Span(max(span.start, within.start), min(span.end, within.end)) for span in spans)
    return tuple(span for span in cut if span.start < span.end)


def holding(spans: Sequence[Span], instant: datetime) -> Span | None:
    """The span that `instant` is in."""
    return next((span for span in spans if instant in span), None)


def total(spans: Iterable[Span]) -> timedelta:
    """The length of disjoint spans together."""
    return sum((span.length for span in spans), timedelta())


def _without(span: Span, hole: Span) -> Iterator[Span]:
    if hole.end <= span.start or span.end <= hole.start:
        yield span
        return
    if span.start < hole.start:
        yield Span(span.start, hole.start)
    if hole.end < span.end:
        yield Span(hole.end, span.end)
