"""grep and sed, as far as probes use them. sed knows `s`, `p`, `d` and line addresses only."""

import re
from collections.abc import Iterator, Mapping

from iso.lab.shell.call import Call, Tool, UsageError, decode, encode, options

_CLASSES = {"[:space:]": r"\s", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z", "[:alnum:]": "A-Za-z0-9",
            "[:upper:]": "A-Z", "[:lower:]": "a-z", "[:xdigit:]": "0-9A-Fa-f", "[:blank:]": r" \t",
            "[:punct:]": r"!-/:-@\[-`{-~"}  # fmt: skip


def expression(text: str, *, extended: bool, fixed: bool = False) -> str:
    """A POSIX basic or extended regular expression as Python's."""
    if fixed:
        return re.escape(text)
    for name, members in _CLASSES.items():
        text = text.replace(name, members)
    if extended:
        return text
    # In basic expressions \( \) \{ \} \| \+ \? are operators and the bare characters are not.
    return re.sub(r"\\?[(){}|+?]", lambda match: match.group()[1:] or "\\" + match.group(), text)


async def grep(call: Call) -> int:
    found, rest = _grep_options(call)
    patterns = found["e"].split("\n") if "e" in found else rest.pop(0).split("\n")
    extended, fixed = "E" in found or call.name == "egrep", "F" in found or call.name == "fgrep"
    joined = "|".join(f"(?:{expression(one, extended=extended, fixed=fixed)})" for one in patterns)
    joined = rf"\b(?:{joined})\b" if "w" in found else rf"\A(?:{joined})\Z" if "x" in found else joined
    try:
        matcher = re.compile(joined, re.IGNORECASE if "i" in found else 0)
    except re.error:
        return await call.fail("Invalid regular expression", 2)
    status, names = 1, rest or ["-"]
    prefixed = "H" in found or (len(names) > 1 and "h" not in found)
    for name in names:
        try:
            data = b"".join([chunk async for chunk in call.inputs([name])])
        except OSError as error:
            if "s" not in found:
                await call.fail(f"{name}: {error.strerror}")
            status = 2 if status else 0
            continue
        lines = decode(data).removesuffix("\n").split("\n") if data else []
        if await _report(call, found, matcher, lines, f"{name}:" if prefixed else ""):
            status = 0
            if "q" in found:
                return 0
    return status


def _grep_options(call: Call) -> tuple[dict[str, str], list[str]]:
    """Grep takes its options anywhere before `--`."""
    long = {"--quiet": "-q", "--extended-regexp": "-E", "--only-matching": "-o", "--no-messages": "-s"}
    args = [long.get(arg, arg) for arg in call.args]
    at = args.index("--") if "--" in args else len(args)
    flags: list[str] = []
    operands: list[str] = []
    index = 0
    while index < at:
        arg = args[index]
        if arg.startswith("-") and arg != "-":
            flags.append(arg)
            if arg[-1] in "em" and index + 1 < at:
                flags.append(args[index + 1])
                index += 1
        else:
            operands.append(arg)
        index += 1
    found, _ = options(flags, "EFGHhqvincloswxaI", "em")
    operands += args[at + 1 :]
    if not operands and "e" not in found:
        raise UsageError("usage: grep [OPTION]... PATTERNS [FILE]...")
    return found, operands


async def _report(
    call: Call, found: Mapping[str, str], matcher: re.Pattern[str], lines: list[str], prefix: str
) -> bool:
    limit = int(found["m"]) if "m" in found else len(lines)
    hits = [
        (number, line) for number, line in enumerate(lines, 1) if bool(matcher.search(line)) != ("v" in found)
    ]
    hits = hits[:limit]
    if "q" in found:
        return bool(hits)
    if "l" in found:
        await call.print(*([prefix.removesuffix(":") or "(standard input)"] if hits else []))
    elif "c" in found:
        await call.print(f"{prefix}{len(hits)}")
    else:
        output = []
        for number, line in hits:
            shown = matcher.finditer(line) if "o" in found else [line]
            for piece in shown:
                text = piece if isinstance(piece, str) else piece.group()
                if text or "o" not in found:
                    output.append(prefix + (f"{number}:" if "n" in found else "") + text)
        await call.print(*output)
    return bool(hits)


async def sed(call: Call) -> int:
    found, rest = options(call.args, "nEr", "e")
    program = found["e"] if "e" in found else rest.pop(0) if rest else ""
    commands = list(_sed_program(program, extended="E" in found or "r" in found))
    data = b"".join([chunk async for chunk in call.inputs(rest)])
    output = []
    for number, line in enumerate(decode(data).removesuffix("\n").split("\n") if data else [], 1):
        text, deleted = line, False
        for address, action in commands:
            if address.isdigit() and int(address) != number:
                continue
            if address.startswith("/") and not re.search(address[1:-1], text):
                continue
            if isinstance(action, tuple):
                matcher, replacement, flags = action
                text, count = matcher.subn(replacement, text, count=0 if "g" in flags else 1)
                if count and "p" in flags:
                    output.append(text)
            elif action == "p":
                output.append(text)
            else:
                deleted = True
        if "n" not in found and not deleted:
            output.append(text)
    if output:
        await call.out.write(encode("\n".join(output) + "\n"))
    return 0


def _sed_program(
    program: str, *, extended: bool
) -> Iterator[tuple[str, str | tuple[re.Pattern[str], str, str]]]:
    for raw in program.split(";"):
        match = re.match(r"\s*(\d+|/(?:[^/\\]|\\.)*/)?\s*(.*)", raw, re.DOTALL)
        address, action = (match.group(1) or "", match.group(2).strip()) if match else ("", "")
        if action in ("p", "d"):
            yield address, action
        elif action.startswith("s") and len(action) > 3:
            parts = re.split(r"(?<!\\)" + re.escape(action[1]), action[2:])
            if len(parts) != 3:
                raise UsageError(f"-e expression: unterminated `s' command: {raw}")
            replacement = re.sub(r"(?<!\\)&", r"\\g<0>", parts[1])
            yield address, (re.compile(expression(parts[0], extended=extended)), replacement, parts[2])
        elif action:
            raise UsageError(f"-e expression: unknown command: `{action}' (the lab's sed knows s, p and d)")


TOOLS: Mapping[str, Tool] = {"grep": grep, "egrep": grep, "fgrep": grep, "sed": sed}
