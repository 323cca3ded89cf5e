"""Parses the part of POSIX sh that the lab's machines speak into a small tree. Runs nothing.

Understood: simple commands, pipelines, lists (; & && || !), if, for, while, until, case, { }, ( ), quotes,
$VAR, ${VAR op word}, $(…), assignments and redirections. Not: functions, here-documents, arithmetic, backquotes.
"""

from dataclasses import dataclass


class ShellSyntaxError(Exception):
    """The text is no script this shell understands; the message is what dash would say after its name."""


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    quoted: bool
    operator: str = ""  # "", ":-", "-", ":+", "+", "#", "##", "%", "%%", "length"
    operand: "Word" = ()


@dataclass(frozen=True, slots=True)
class Substitution:
    body: "Script"
    quoted: bool


Part = Text | Variable | Substitution
Word = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    fd: int
    operator: str  # "<", ">", ">>", ">&"
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Group:
    body: "Script"
    subshell: bool


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple["Script", "Script"], ...]
    otherwise: "Script"


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[Word, ...] | None  # None: over "$@"
    body: "Script"


@dataclass(frozen=True, slots=True)
class While:
    condition: "Script"
    body: "Script"
    until: bool


@dataclass(frozen=True, slots=True)
class Case:
    subject: Word
    branches: tuple[tuple[tuple[Word, ...], "Script"], ...]


@dataclass(frozen=True, slots=True)
class Command:
    body: Simple | Group | If | For | While | Case
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class AndOr:
    first: Pipeline
    rest: tuple[tuple[str, Pipeline], ...]  # ("&&" | "||", pipeline)
    background: bool = False


Script = tuple[AndOr, ...]

_META = " \t\n;&|<>()"
_NAME_START = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_NAME = _NAME_START + "0123456789"
_CLOSERS = ("then", "else", "elif", "fi", "do", "done", "esac", "}", ")", ";;")
_MAX_DEPTH = 60


def parse(text: str) -> Script:
    """Raises ShellSyntaxError."""
    parser = _Parser(text)
    script = parser.script()
    if parser.pos < len(text):
        raise parser.unexpected()
    return script


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.pos, self.depth = text, 0, 0

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
            if self.text[self.pos] in "()" or follows == "" or follows in _META:
                return self.text[self.pos]
        end = self.pos
        while end < len(self.text) and self.text[end].isalpha():
            end += 1
        return self.text[self.pos : end] if end == len(self.text) or self.text[end] in _META else ""

    def expect_keyword(self, word: str) -> None:
        self.blanks(newlines=True)
        if self.keyword() != word:
            raise self.unexpected(word)
        self.pos += len(word)

    # --- lists ------------------------------------------------------------------------------------
    def script(self) -> Script:
        """A list up to a closing word or the end. May be empty at the top level only; callers check."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ShellSyntaxError("1: Syntax error: nested too deeply")
        items: list[AndOr] = []
        while True:
            self.blanks(newlines=True)
            if self.pos >= len(self.text) or self.keyword() in _CLOSERS:
                break
            item = self.and_or()
            self.blanks()
            if self.at("&") and not self.at("&&"):
                self.pos += 1
                item = AndOr(item.first, item.rest, background=True)
            elif self.at(";;"):
                pass
            elif not self.take(";") and not self.take("\n") and self.pos < len(self.text) and not self.at(")"):
                raise self.unexpected()
            items.append(item)
        self.depth -= 1
        return tuple(items)

    def body(self) -> Script:
        found = self.script()
        if not found:
            raise self.unexpected()
        return found

    def and_or(self) -> AndOr:
        first, rest = self.pipeline(), []
        while True:
            self.blanks()
            operator = "&&" if self.at("&&") else "||" if self.at("||") else ""
            if not operator:
                return AndOr(first, tuple(rest))
            self.pos += 2
            self.blanks(newlines=True)
            rest.append((operator, self.pipeline()))

    def pipeline(self) -> Pipeline:
        self.blanks()
        negated = False
        while self.keyword() == "!":
            self.pos += 1
            negated = not negated
            self.blanks()
        commands = [self.command()]
        self.blanks()
        while self.at("|") and not self.at("||"):
            self.pos += 1
            self.blanks(newlines=True)
            commands.append(self.command())
            self.blanks()
        return Pipeline(tuple(commands), negated)

    # --- commands ---------------------------------------------------------------------------------
    def command(self) -> Command:
        word = self.keyword()
        compound = {"(": self.group, "{": self.group, "if": self.if_, "for": self.for_, "while": self.while_,
                    "until": self.while_, "case": self.case}.get(word)  # fmt: skip
        if compound is None:
            if word in _CLOSERS:
                raise self.unexpected()
            return self.simple()
        self.pos += len(word)
        body = compound(word)
        redirects = []
        self.blanks()
        while (redirect := self.redirect()) is not None:
            redirects.append(redirect)
            self.blanks()
        return Command(body, tuple(redirects))

    def group(self, word: str) -> Group:
        body = self.body()
        self.expect_keyword(")" if word == "(" else "}")
        return Group(body, subshell=word == "(")

    def if_(self, _word: str) -> If:
        branches = []
        otherwise: Script = ()
        while True:
            condition = self.body()
            self.expect_keyword("then")
            branches.append((condition, self.body()))
            closer = self.keyword()
            self.pos += len(closer)
            if closer == "elif":
                continue
            if closer == "else":
                otherwise = self.body()
                self.expect_keyword("fi")
            elif closer != "fi":
                self.pos -= len(closer)
                raise self.unexpected("fi")
            return If(tuple(branches), otherwise)

    def for_(self, _word: str) -> For:
        self.blanks()
        name = self.name()
        if not name:
            raise self.unexpected()
        self.blanks(newlines=True)
        words: tuple[Word, ...] | None = None
        if self.keyword() == "in":
            self.pos += 2
            words = self.words()
        self.blanks()
        self.take(";")
        return For(name, words, self.do_body())

    def while_(self, word: str) -> While:
        condition = self.body()
        return While(condition, self.do_body(), until=word == "until")

    def do_body(self) -> Script:
        self.expect_keyword("do")
        body = self.body()
        self.expect_keyword("done")
        return body

    def case(self, _word: str) -> Case:
        self.blanks()
        subject = self.word()
        self.expect_keyword("in")
        branches = []
        while True:
            self.blanks(newlines=True)
            if self.keyword() == "esac":
                self.pos += 4
                return Case(subject, tuple(branches))
            self.take("(")
            patterns = [self.word()]
            self.blanks()
            while self.take("|"):
                self.blanks()
                patterns.append(self.word())
                self.blanks()
            self.expect(")")
            body = self.script()
            self.blanks(newlines=True)
            if not self.take(";;") and self.keyword() != "esac":
                raise self.unexpected(";;")
            branches.append((tuple(patterns), body))

    def simple(self) -> Command:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self.blanks()
            redirect = self.redirect()
            if redirect is not None:
                redirects.append(redirect)
                continue
            if self.pos >= len(self.text) or self.text[self.pos] in _META:
                break
            start, name = self.pos, self.name()
            if not words and name and self.take("="):
                assignments.append((name, self.word(empty=True)))
                continue
            self.pos = start
            words.append(self.word())
        if not (assignments or words or redirects):
            raise self.unexpected()
        return Command(Simple(tuple(assignments), tuple(words)), tuple(redirects))

    def redirect(self) -> Redirect | None:
        start = self.pos
        while self.pos < len(self.text) and self.text[self.pos].isdigit():
            self.pos += 1
        digits = self.text[start : self.pos]
        for operator in (">>", ">&", ">|", "<&", ">", "<"):
            if self.at("<<"):
                raise ShellSyntaxError("1: Syntax error: here-documents are not understood by the lab's shell")
            if self.take(operator):
                default = 0 if operator.startswith("<") else 1
                self.blanks()
                kind = {">|": ">", "<&": ">&"}.get(operator, operator)
                return Redirect(int(digits) if digits else default, kind, self.word())
        self.pos = start
        return None

    # --- words ------------------------------------------------------------------------------------
    def name(self) -> str:
        start = self.pos
        if self.pos < len(self.text) and self.text[self.pos] in _NAME_START:
            while self.pos < len(self.text) and self.text[self.pos] in _NAME:
                self.pos += 1
        return self.text[start : self.pos]

    def words(self) -> tuple[Word, ...]:
        found = []
        while True:
            self.blanks()
            if self.pos >= len(self.text) or self.text[self.pos] in _META:
                return tuple(found)
            found.append(self.word())

    def word(self, *, empty: bool = False, end: str = _META) -> Word:
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
            raise ShellSyntaxError("1: Syntax error: backquotes are not understood by the lab's shell; use $(…)")
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
