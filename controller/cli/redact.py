"""What may leave in a support bundle: an allow-list of fields and words. Everything else stays out.

Nothing here searches for secrets; it copies only what is known to be harmless. Of free text only those
words stay that our own source contains.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_WORD = re.compile(r"[^\s,;:=()\[\]{}<>'\"`|]+")
_PART = re.compile(r"[-_/.…!?]+")
_NUMBER = re.compile(r"\d{1,6}")
_MARK = "[…]"
_LONGEST = 20  # letters; longer "words" in source are data
_MOST_NUMBERS = 3  # 1.13.9 is a version, 10.0.0.1 an address
_FRAME = re.compile(r'\s*File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<name>[\w<>]+)')
_RAISED = re.compile(
    r"(?P<kind>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Busy|Failed|Unreachable|NotYet|Mismatch))(?::|$)"
)

NODE_FIELDS = (
    "name",
    "site",
    "cluster",
    "role",
    "state",
    "step",
    "done",
    "total",
    "profile",
    "seen_at",
    "changed_at",
)
CLUSTER_FIELDS = ("name", "site", "state", "kubernetes", "nodes", "ready", "changed_at", "verified_at")
RUN_FIELDS = ("id", "kind", "state", "queued_at", "started_at", "finished_at")
EVENT_FIELDS = ("id", "at", "kind", "subject")
EVENT_DATA = ("step", "outcome", "attempt", "epoch", "slug", "seconds", "bytes", "changed")


def only(value: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The named fields, scalars only."""
    return {name: value[name] for name in fields if isinstance(value.get(name), (str, int, float, bool))}


def vocabulary(folders: Iterable[Path]) -> frozenset[str]:
    """Every word in our own source. No secret is written there, so none of these can be one."""
    found: set[str] = set()
    for folder in folders:
        for file in folder.rglob("*.py"):
            found.update(re.findall(r"[A-Za-z]+", file.read_text(encoding="utf-8")))
    return frozenset(word.lower() for word in found if len(word) <= _LONGEST)


def words(text: str, known: frozenset[str]) -> str:
    """Free text of which only words in `known` (whole, or joined by - _ / .) and small numbers stay."""

    def keep(match: re.Match[str]) -> str:
        word = match.group()
        parts = [part for part in _PART.split(word) if part]
        few = sum(part.isdigit() for part in parts) <= _MOST_NUMBERS
        harmless = few and all(part.lower() in known or _harmless(part) for part in parts)
        return word if word in known or harmless else _MARK

    return _WORD.sub(keep, text[:2_000])


def _harmless(part: str) -> bool:
    """A small number, or a single mark such as %."""
    return bool(_NUMBER.fullmatch(part)) or (len(part) == 1 and not part.isalnum())


def log_lines(text: str) -> list[str]:
    """Of a log: where in the code it was, and what kind of error. Messages stay out, and are counted."""
    kept: list[str] = []
    left_out = 0
    for line in text.splitlines():
        frame, raised = _FRAME.match(line), _RAISED.match(line)
        if frame:
            path = "/".join(frame["path"].split("/")[-3:])
            kept.append(f"  File {path}, line {frame['line']}, in {frame['name']}")
        elif raised:
            kept.append(raised["kind"])
        else:
            left_out += 1
    if left_out:
        kept.append(f"({left_out} lines left out)")
    return kept
