"""`test` and `[`: conditions on strings, numbers and files."""

from collections.abc import Mapping

from iso.lab.shell.call import Call, Tool, UsageError
from iso.lab.tools.file import kind as kind_of
from iso.lab.tools.file import mode, size


async def test(call: Call) -> int:
    args = list(call.args)
    if call.name == "[":
        if args[-1:] != ["]"]:
            raise UsageError("missing ]")
        args.pop()
    try:
        return 0 if _Condition(call, args).whole() else 1
    except (ValueError, IndexError):
        return await call.fail("bad condition: " + " ".join(args), 2)


class _Condition:
    """Evaluates `test`'s little language: ! ( ) -a -o over unary and binary tests."""

    _COMPARE: Mapping[str, tuple[int, ...]] = {
        "-eq": (0,), "-ne": (-1, 1), "-lt": (-1,), "-le": (-1, 0), "-gt": (1,), "-ge": (0, 1),
    }  # fmt: skip

    def __init__(self, call: Call, args: list[str]) -> None:
        self.call, self.args = call, args

    def whole(self) -> bool:
        if not self.args:
            return False
        value = self.either()
        if self.args:
            raise ValueError(self.args[0])
        return value

    def either(self) -> bool:
        value = self.both()
        while self.args[:1] == ["-o"]:
            self.args.pop(0)
            value = self.both() or value
        return value

    def both(self) -> bool:
        value = self.one()
        while self.args[:1] == ["-a"]:
            self.args.pop(0)
            value = self.one() and value
        return value

    def one(self) -> bool:
        args = self.args
        if len(args) >= 3 and (args[1] in ("=", "==", "!=") or args[1] in self._COMPARE):
            left, operator, right = args.pop(0), args.pop(0), args.pop(0)
            if operator in self._COMPARE:
                difference = int(left) - int(right)
                return (difference > 0) - (difference < 0) in self._COMPARE[operator]
            return (left == right) is (operator != "!=")
        first = args.pop(0)
        if first == "!" and args:
            return not self.one()
        if first == "(" and args:
            value = self.either()
            args.pop(0)
            return value
        if (
            len(first) == 2
            and first[0] == "-"
            and first[1] in "bcdefhLnrswxzt"
            and args
            and args[0] not in ("-a", "-o")
        ):
            return self.unary(first[1], args.pop(0))
        return first != ""

    def unary(self, letter: str, value: str) -> bool:
        if letter in "nz":
            return (value != "") is (letter == "n")
        if letter == "t":
            return False
        node = self.call.files.find(self.call.path(value), follow=letter not in "hL") if value else None
        if node is None:
            return False
        kind = kind_of(node)
        checks = {
            "e": True,
            "r": True,
            "w": True,
            "s": size(node) > 0 or kind in "db",
            "L": kind == "l",
            "h": kind == "l",
            "x": kind == "d" or bool(mode(node) & 0o111),
        }
        return checks.get(letter, kind == letter)


TOOLS: Mapping[str, Tool] = {"test": test, "[": test}
