"""What may leave in a support bundle: an allow-list of fields and shapes. Everything else stays out.

Nothing here searches for secrets; it copies only what is known to be harmless. Free text is cut down to
words that no key, token or digest can look like.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_WORD = re.compile(r"[^\s,;:=()\[\]{}<>'\"`|]+")
_HARMLESS = re.compile(
    r"[A-Za-z]{1,24}(?:[-_/.][A-Za-z]{1,24})*\.?|[\d.]{1,15}%?|v?\d{1,4}(?:\.\d{1,4}){0,3}|[^\w\s]{1,3}"
)
_MARK = "[…]"
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
    "talos",
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


def words(text: str, allowed: frozenset[str] = frozenset()) -> str:
    """Free text with every word left out that is not plainly a word, a small number or one of `allowed`."""

    def keep(match: re.Match[str]) -> str:
        word = match.group()
        return word if word in allowed or _plain(word) else _MARK

    return _WORD.sub(keep, text[:2_000])


def _plain(word: str) -> bool:
    """Letters of one case (or Capitalized) joined by - _ / . : base64 and hex do not look like that."""
    if not _HARMLESS.fullmatch(word):
        return False
    parts = [part for part in re.split(r"[-_/.]", word) if part.isalpha()]
    return all(part.islower() or part.isupper() or part.istitle() or len(part) <= 12 for part in parts)


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
