"""Multi-document YAML → plain data in which every path knows its line. Refuses what no site file needs.

The YAML 1.2 core rules decide what a plain scalar is, so `22:00` is text and `no` is not false. Refused:
anchors and aliases, tags, merge keys, duplicate keys, keys that are not text, files over 1 MiB, nesting
beyond 32 levels, numbers beyond 64 bits, NaN and infinity, control characters. Knows nothing of kinds.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from inventory.errors import Problem, SiteFileError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_PROBLEMS = 100  # nobody mends more at once; a hostile file must not make a long report

Path = tuple[str | int, ...]

_BOOL_OR_NULL: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Decimal numbers with a leading zero stay text: YAML 1.1 reads them as octal, people do not.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# Control characters, surrogates, and direction overrides, which make text look like what it is not
# (CVE-2021-42574). Tab, line feed and carriage return are fine.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One YAML document: its data, and the line of every key and list item in it."""

    data: Any
    file: str
    line: int
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    def line_of(self, path: Path) -> int:
        """The line of a path, or of its nearest parent that is written down."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return self.line


def show_path(path: Path) -> str:
    """`spec.nodes[2].address`; keys that hold dots stay as they are."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load(text: str, file: str) -> list[SourceDocument]:
    """The documents of one file; empty ones are left out. Raises SiteFileError with every problem found."""
    reader = _Reader(file)
    documents = reader.read(text)
    if reader.problems:
        raise SiteFileError(tuple(reader.problems))
    return documents


class _GiveUp(Exception):
    """The rest of this file cannot be read sensibly; the problem is already noted."""


class _Reader:
    """Builds the data of one file from parser events, and collects problems as it goes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines: dict[Path, int] = {}
        self._events: Iterator[Any] = iter(())

    def read(self, text: str) -> list[SourceDocument]:
        documents: list[SourceDocument] = []
        try:
            self._check_text(text)
            self._events = yaml.parse(text, Loader=_LOADER)
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self._lines = {}
                    first = next(self._events)
                    data = self._value(first, ())
                    if data is not None:
                        documents.append(SourceDocument(data, self.file, _line(first), self._lines))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = f"not valid YAML: {error.problem or error.context}"
            fix = _syntax_fix(text, mark.line if mark else 0)
            last = max(1, len(text.splitlines()))  # the parser may only notice after the end
            self._note(min(mark.line + 1, last) if mark else 1, (), what, fix)
        except yaml.YAMLError as error:
            self._note(1, (), f"not valid YAML: {error}", "save the file as plain UTF-8 text")
        except _GiveUp:
            return documents
        return documents

    def _check_text(self, text: str) -> None:
        # Each character is at least one byte, so the cheap test comes first.
        size = len(text) if len(text) > MAX_BYTES else len(text.encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES:
            self._stop(
                1, (), "the file is larger than 1 MiB", "split it: one file per site, or use a template"
            )
        bad = _FORBIDDEN.search(text)
        if bad:
            line = text.count("\n", 0, bad.start()) + 1
            self._stop(line, (), f"control character U+{ord(bad[0]):04X}", "delete it")

    def _note(self, line: int, path: Path, what: str, fix: str) -> None:
        self.problems.append(Problem(file=self.file, line=line, path=show_path(path), what=what, fix=fix))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _GiveUp

    def _stop(self, line: int, path: Path, what: str, fix: str) -> None:
        self._note(line, path, what, fix)
        raise _GiveUp

    def _value(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent):
            self._note(_line(event), path, f"alias *{event.anchor}", "write the value out, or use a template")
            return None
        if len(path) > MAX_DEPTH:
            self._stop(_line(event), path[:4], f"nested deeper than {MAX_DEPTH} levels", "flatten this part")
        if event.anchor is not None:
            self._note(_line(event), path, f"anchor &{event.anchor}", "remove it: anchors are not used here")
        if event.tag is not None and event.tag != "!":
            self._note(
                _line(event), path, f"tag {event.tag[:60]}", "remove the tag; quote the value if it is text"
            )
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            here = (*path, len(items))
            self._lines[here] = _line(event)
            items.append(self._value(event, here))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            here = (*path, key)
            if key in result:
                first = self._lines[here]
                self._note(
                    _line(event), here, f"{key!r} is set twice", f"remove one; the first is on line {first}"
                )
            else:
                self._lines[here] = _line(event)
            result[key] = self._value(next(self._events), here)
        return result

    def _key(self, event: Any, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.AliasEvent):
                self._note(_line(event), path, f"alias *{event.anchor}", "write the key out")
                return f"*{event.anchor}"
            self._value(event, (*path, "?"))
            self._note(_line(event), path, "a key is a list or a map", "use text as the key")
            return f"?{_line(event)}"
        if event.implicit[0] and event.value == "<<":
            self._note(_line(event), path, "merge key <<", "write the keys out, or use a template")
            return f"<<{_line(event)}"
        value = self._value(event, (*path, event.value[:60]))
        if not isinstance(value, str):
            shown = event.value[:60] or "~"
            self._note(_line(event), path, f"the key {shown} is not text", f'quote it: "{shown}"')
        return str(event.value)

    def _scalar(self, event: Any, path: Path) -> Any:
        text: str = event.value
        bad = _FORBIDDEN.search(text)
        if bad:
            self._note(_line(event), path, f"control character U+{ord(bad[0]):04X}", "delete it")
            return ""
        if not event.implicit[0]:  # quoted, or a block of text
            return text
        return self._plain(text, _line(event), path)

    def _plain(self, text: str, line: int, path: Path) -> Any:
        if text in _BOOL_OR_NULL:
            return _BOOL_OR_NULL[text]
        if _INT.fullmatch(text):
            return self._integer(text, line, path)
        if _NOT_FINITE.fullmatch(text):
            self._note(line, path, f"{text} is not a number to work with", "write a finite number")
        elif _FLOAT.fullmatch(text):
            if math.isfinite(float(text)):
                return float(text)
            self._note(line, path, f"{text[:30]} is too large a number", "write a smaller number")
        return text

    def _integer(self, text: str, line: int, path: Path) -> int:
        # 24 characters hold any 64-bit number in the three bases; longer ones are not even converted.
        number = int(text, 0) if len(text) <= 24 else 2**64
        if -(2**63) <= number < 2**63:
            return number
        self._note(line, path, f"{text[:30]} does not fit in 64 bits", "quote it if it is text")
        return 0


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _syntax_fix(text: str, line: int) -> str:
    lines = text.splitlines()
    written = lines[line] if line < len(lines) else ""
    if "\t" in written:
        return "indent with spaces, not tabs"
    if re.search(r"(?:\s|:\s|- )[@`%*&!]", written):
        return "quote values that begin with @ ` % * & or !"
    if written.count(": ") > 1:
        return "quote values that contain a colon and a space"
    return "check indentation, quotes and brackets on this line and the one before"
