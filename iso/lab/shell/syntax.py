"""Parses the part of POSIX sh that the lab's machines speak into a small tree. Runs nothing.

Understood: simple commands, pipelines, lists (; & && || !), if, for, while, until, case, { }, ( ), quotes,
$VAR, ${VAR op word}, $(…), assignments, redirections. Not: functions, here-documents, arithmetic, backquotes.
"""

from collections.abc import Callable

from iso.lab.shell.scanner import CLOSERS, MAX_DEPTH, META, Scanner, ShellSyntaxError
from iso.lab.shell.tree import (
    AndOr,
    Case,
    Command,
    Compound,
    For,
    Group,
    If,
    Pipeline,
    Redirect,
    Script,
    Simple,
    While,
    Word,
)


def parse(text: str) -> Script:
    """Raises ShellSyntaxError."""
    parser = _Parser(text)
    script = parser.script()
    if parser.pos < len(text):
        raise parser.unexpected()
    return script


class _Parser(Scanner):
    # --- lists ------------------------------------------------------------------------------------
    def script(self) -> Script:
        """A list up to a closing word or the end. May be empty at the top level only; callers check."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ShellSyntaxError("1: Syntax error: nested too deeply")
        items: list[AndOr] = []
        while True:
            self.blanks(newlines=True)
            if self.pos >= len(self.text) or self.keyword() in CLOSERS:
                break
            item = self.and_or()
            self.blanks()
            if self.at("&") and not self.at("&&"):
                self.pos += 1
                item = AndOr(item.first, item.rest, background=True)
            elif self.at(";;"):
                pass
            elif (
                not self.take(";") and not self.take("\n") and self.pos < len(self.text) and not self.at(")")
            ):
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
        first = self.pipeline()
        rest: list[tuple[str, Pipeline]] = []
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
        compounds: dict[str, Callable[[str], Compound]] = {
            "(": self.group, "{": self.group, "if": self.if_, "for": self.for_,
            "while": self.while_, "until": self.while_, "case": self.case,
        }  # fmt: skip
        compound = compounds.get(word)
        if compound is None:
            if word in CLOSERS:
                raise self.unexpected()
            return self.simple()
        self.pos += len(word)
        body = compound(word)
        redirects: list[Redirect] = []
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
        branches: list[tuple[tuple[Word, ...], Script]] = []
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
            if self.pos >= len(self.text) or self.text[self.pos] in META:
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
                raise ShellSyntaxError(
                    "1: Syntax error: here-documents are not understood by the lab's shell"
                )
            if self.take(operator):
                default = 0 if operator.startswith("<") else 1
                self.blanks()
                kind = {">|": ">", "<&": ">&"}.get(operator, operator)
                return Redirect(int(digits) if digits else default, kind, self.word())
        self.pos = start
        return None
