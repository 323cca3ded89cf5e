"""Prints results: JSON documents, JSON lines, plain tables. Knows no command and no store.

Tables are plain text on purpose: they pipe well, and `cto status` starts without loading rich.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from controller.cli.text import clean

# Tone (web.present) → terminal color; the symbol and the word carry the meaning without it.
COLORS = {"good": "green", "busy": "cyan", "warn": "yellow", "bad": "red", "unknown": "yellow", "idle": None}


def plain(value: Any) -> Any:
    """`value` as JSON can hold it. Anything unforeseen is an error rather than a surprise on stdout."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str | Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def document(value: Any) -> None:
    """One JSON document on stdout. ASCII only, so no escape sequence can reach a terminal."""
    click.echo(json.dumps(plain(value), indent=2))


def line(value: Any) -> None:
    """One JSON document on one line, for streams."""
    click.echo(json.dumps(plain(value), separators=(",", ":")))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, indent: str = "") -> None:
    """Columns as wide as their widest cell. A cell may be text or `(text, tone)`."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [len(title) for title in head]
    for row in cells:
        widths = [max(width, len(text)) for width, (text, _) in zip(widths, row, strict=True)]
    click.echo(
        indent + _join([click.style(title, bold=True) for title in head], [len(t) for t in head], widths)
    )
    for row in cells:
        styled = [click.style(text, fg=COLORS.get(tone)) if tone else text for text, tone in row]
        click.echo(indent + _join(styled, [len(text) for text, _ in row], widths))


def _cell(value: object) -> tuple[str, str]:
    if isinstance(value, tuple):
        return clean(value[0], 80) or "-", str(value[1])
    return clean(value, 80) or "-", ""


def _join(texts: Sequence[str], lengths: Sequence[int], widths: Sequence[int]) -> str:
    padded = [
        text + " " * (width - length) for text, length, width in zip(texts, lengths, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def human_bytes(count: int) -> str:
    """1.5 GiB; whole numbers for bytes."""
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007 - the last unit reached is the answer
        if size < 1024:
            break
        size /= 1024
    return f"{int(size)} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def human_seconds(seconds: float) -> str:
    """45 s, 3 min, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
