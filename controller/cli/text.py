"""Makes text that came from a machine or a person fit to be printed. Decides nothing about layout.

A host name, a fact or an error text may hold escape sequences that move the cursor, or right-to-left
marks that make one word look like another. All of it goes through `clean` before a terminal sees it.
"""

import re
import unicodedata

# CSI … final byte, OSC … BEL or ST, and two-character escapes; 8-bit forms too.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d).*?(?:\x07|\x1b\\|\x9c|$)|\x1b[@-Z\\-_]", re.DOTALL
)
# Controls, format marks (bidirectional overrides, zero widths), surrogates, line and paragraph separators.
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_PLACEHOLDER = "\ufffd"  # shows that something was there


def clean(text: object, limit: int = 256) -> str:
    """One line without escapes, controls or direction marks, at most `limit` characters."""
    joined = " ".join(_ANSI.sub("", str(text)[: limit * 8]).split())
    fit = _fit(joined)
    return fit if len(fit) <= limit else fit[: limit - 1] + "…"


def clean_block(text: object, limit: int = 65_536) -> str:
    """As `clean`, but lines and their indentation stay: for diffs and messages of several lines."""
    stripped = _ANSI.sub("", str(text)[: limit * 2])
    lines = [_fit(line.expandtabs(4).rstrip()) for line in stripped.split("\n")]
    block = "\n".join(lines)
    return block if len(block) <= limit else block[:limit] + "…"


def _fit(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return "".join(_PLACEHOLDER if unicodedata.category(char) in _UNFIT else char for char in line)
