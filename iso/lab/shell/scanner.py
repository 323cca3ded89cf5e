"""The lower half of the shell's parser: characters and words. Knows no commands, except through `script`."""

from iso.lab.shell.tree import Part, Script, Substitution, Text, Variable, Word

META = " \t\n;&|<>()"
NAME_START = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_NAME = NAME_START + "0123456789"
CLOSERS = ("then", "else", "elif", "fi", "do", "done", "esac", "}", ")", ";;")
MAX_DEPTH = 60


class ShellSyntaxError(Exception):
    """The text is no script this shell understands; the message is what dash would say after its name."""


class Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.pos, self.depth = text, 0, 0

    def script(self) -> Script:
        """A list of commands, for `$(…)`."""
        raise NotImplementedError

    # --- characters -------------------------------------------------------------------------------
    def at(self, token: str) -> bool:
        return self.text.startswith(token, self.pos)

    def take(self, token: str) -> bool:
        found = self.at(token)
        self.pos += len(token) if found else 0
        return found

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise self.unexpected(token)

    def unexpected(self, wanted: str = "") -> ShellSyntaxError:
        line = self.text.count("\n", 0, self.pos) + 1
        seen = f'"{self.text[self.pos : self.pos + 1]}"' if self.pos < len(self.text) else "end of file"
        tail = f' (expecting "{wanted}")' if wanted else ""
        return ShellSyntaxError(f"{line}: Syntax error: {seen} unexpected{tail}")

    def blanks(self, *, newlines: bool = False) -> None:
        while self.pos < len(self.text):
            char = self.text[self.pos]
            if char in " \t" or (newlines and char == "\n"):
                self.pos += 1
            elif self.at("\\\n"):
                self.pos += 2
            elif char == "#":
                end = self.text.find("\n", self.pos)
                self.pos = len(self.text) if end < 0 else end
            else:
                return

    def keyword(self) -> str:
        """The bare word here if it could be a reserved word, without taking it."""
        if self.at(";;"):
            return ";;"
        if self.pos < len(self.text) and self.text[self.pos] in "(){}!":
            follows = self.text[self.pos + 1 : self.pos + 2]
            if self.text[self.pos] in "()" or follows == "" or follows in META:
                return self.text[self.pos]
        end = self.pos
        while end < len(self.text) and self.text[end].isalpha():
            end += 1
        return self.text[self.pos : end] if end == len(self.text) or self.text[end] in META else ""

    def expect_keyword(self, word: str) -> None:
        self.blanks(newlines=True)
        if self.keyword() != word:
            raise self.unexpected(word)
        self.pos += len(word)

    # --- words ------------------------------------------------------------------------------------
    def name(self) -> str:
        start = self.pos
        if self.pos < len(self.text) and self.text[self.pos] in NAME_START:
            while self.pos < len(self.text) and self.text[self.pos] in _NAME:
                self.pos += 1
        return self.text[start : self.pos]

    def words(self) -> tuple[Word, ...]:
        found: list[Word] = []
        while True:
            self.blanks()
            if self.pos >= len(self.text) or self.text[self.pos] in META:
                return tuple(found)
            found.append(self.word())

    def word(self, *, empty: bool = False, end: str = META) -> Word:
        parts: list[Part] = []
        start = self.pos
        while self.pos < len(self.text) and self.text[self.pos] not in end:
            parts.extend(self.part(end))
        if self.pos == start and not empty:
            raise self.unexpected()
        return tuple(parts)

    def part(self, end: str) -> list[Part]:
        char = self.text[self.pos]
        if char == "'":
            close = self.text.find("'", self.pos + 1)
            if close < 0:
                raise ShellSyntaxError("1: Syntax error: Unterminated quoted string")
            value, self.pos = self.text[self.pos + 1 : close], close + 1
            return [Text(value, quoted=True)]
        if char == '"':
            self.pos += 1
            return self.double_quoted()
        if char == "\\":
            value = self.text[self.pos + 1 : self.pos + 2]
            self.pos += 2
            return [] if value == "\n" else [Text(value or "\\", quoted=True)]
        if char == "$":
            return [self.dollar(quoted=False)]
        if char == "`":
            raise ShellSyntaxError(
                "1: Syntax error: backquotes are not understood by the lab's shell; use $(…)"
            )
        start = self.pos
        while self.pos < len(self.text) and self.text[self.pos] not in end + "'\"\\$`":
            self.pos += 1
        return [Text(self.text[start : self.pos], quoted=False)]

    def double_quoted(self) -> list[Part]:
        parts: list[Part] = [Text("", quoted=True)]
        while not self.take('"'):
            if self.pos >= len(self.text):
                raise ShellSyntaxError("1: Syntax error: Unterminated quoted string")
            char = self.text[self.pos]
            if char == "$":
                parts.append(self.dollar(quoted=True))
            elif char == "\\" and self.text[self.pos + 1 : self.pos + 2] in ("$", "`", '"', "\\", "\n"):
                parts.append(Text(self.text[self.pos + 1].replace("\n", ""), quoted=True))
                self.pos += 2
            else:
                start = self.pos
                self.pos += 1
                while self.pos < len(self.text) and self.text[self.pos] not in '$\\"':
                    self.pos += 1
                parts.append(Text(self.text[start : self.pos], quoted=True))
        return _merged(parts)

    def dollar(self, *, quoted: bool) -> Part:
        self.pos += 1
        if self.at("(("):
            raise ShellSyntaxError("1: Syntax error: arithmetic is not understood by the lab's shell")
        if self.take("("):
            body = self.script()
            self.expect(")")
            return Substitution(body, quoted)
        if self.take("{"):
            return self.braced(quoted=quoted)
        special = self.text[self.pos : self.pos + 1]
        if special and special in "?$!#@*0123456789":
            self.pos += 1
            return Variable(special, quoted)
        name = self.name()
        return Variable(name, quoted) if name else Text("$", quoted=True)

    def braced(self, *, quoted: bool) -> Variable:
        if self.at("#") and not self.at("#}"):
            self.pos += 1
            name = self.name()
            self.expect("}")
            return Variable(name, quoted, "length")
        name = self.name()
        if not name:
            name = self.text[self.pos : self.pos + 1]
            self.pos += 1
        for operator in (":-", ":+", "##", "%%", "-", "+", "#", "%"):
            if self.take(operator):
                operand = self.word(empty=True, end="}")
                self.expect("}")
                return Variable(name, quoted, operator, operand)
        if not self.take("}"):
            raise ShellSyntaxError("1: Syntax error: Bad substitution")
        return Variable(name, quoted)


def _merged(parts: list[Part]) -> list[Part]:
    """Neighboring quoted texts as one."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Text) and isinstance(last, Text):
            merged[-1] = Text(last.value + part.value, quoted=True)
        else:
            merged.append(part)
    return merged
