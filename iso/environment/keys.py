"""Key presses out of what a terminal sends: function keys of the Linux console, xterm and serial programs.

On a line without function keys the digits do the same. Reads nothing itself.
"""

FUNCTION = {
    "F1": ("\x1b[[A", "\x1bOP", "\x1b[11~", "1"),
    "F2": ("\x1b[[B", "\x1bOQ", "\x1b[12~", "2"),
    "F3": ("\x1b[[C", "\x1bOR", "\x1b[13~", "3"),
    "F4": ("\x1b[[D", "\x1bOS", "\x1b[14~", "4"),
    "ENTER": ("\r", "\n"),
}
_CODES = {code: key for key, codes in FUNCTION.items() for code in codes}
OTHER = "OTHER"


class Keys:
    """Sequences may come in pieces; `feed` keeps what may still become one."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, data: bytes) -> list[str]:
        """The keys that were pressed, `OTHER` for those that mean nothing."""
        text, found = self._held + data.decode("ascii", "replace"), []
        self._held = ""
        while text:
            code = next((code for code in _CODES if text.startswith(code)), "")
            if code:
                found.append(_CODES[code])
                text = text[len(code) :]
            elif text.startswith("\x1b") and any(code.startswith(text) for code in _CODES):
                self._held = text
                return found
            else:
                found.append(OTHER)
                text = _after_sequence(text)
        return found

    def give_up(self) -> list[str]:
        """What is held will become nothing: it was the escape key."""
        held, self._held = self._held, ""
        return [OTHER] if held else []


def _after_sequence(text: str) -> str:
    """Without one unknown key: an escape sequence is one key, however long."""
    if not text.startswith("\x1b["):
        return text[1:]
    end = next((at for at, char in enumerate(text[2:], 2) if char.isalpha() or char == "~"), len(text) - 1)
    return text[end + 1 :]
