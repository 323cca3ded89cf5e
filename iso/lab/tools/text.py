"""Text and byte filters: cat, head, tail, tee, wc, od, echo, printf."""

import asyncio
import re
from collections.abc import Mapping

from iso.lab.shell.call import Call, Tool, UsageError, decode, encode, options
from iso.lab.shell.streams import CHUNK, chunks, read_exactly

_UNITS = {"": 1, "b": 512, "K": 1024, "k": 1024, "M": 1024**2, "G": 1024**3, "KB": 1000, "MB": 1000**2}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r"\\(0[0-7]{0,3}|[1-7][0-7]{0,2}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)


def size_of(text: str) -> int:
    """A count with a unit, as head, tail and dd take it."""
    match = re.fullmatch(r"(\d+)([A-Za-z]{0,3})", text)
    unit = match.group(2).removesuffix("iB") if match else "?"
    if match is None or unit not in _UNITS:
        raise UsageError(f"invalid number: '{text}'")
    return int(match.group(1)) * _UNITS[unit]


def unescaped(text: str) -> str:
    """Backslash escapes of printf resolved."""

    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] in "01234567":
            return decode(bytes([int(code, 8) & 255]))
        if code[0] == "x" and len(code) > 1:
            return decode(bytes([int(code[1:], 16)]))
        return _ESCAPES.get(code, match.group(0))

    return _ESCAPE.sub(one, text)


async def cat(call: Call) -> int:
    _, names = options(call.args, "un")
    status = 0
    for name in names or ["-"]:
        try:
            async for chunk in call.inputs([name]):
                await call.out.write(chunk)
        except BrokenPipeError:
            raise
        except OSError as error:
            status = await call.fail(f"{name}: {error.strerror}")
    return status


async def echo(call: Call) -> int:
    newline = call.args[:1] != ["-n"]
    text = unescaped(" ".join(call.args if newline else call.args[1:]))  # as dash does
    await call.out.write(encode(text + "\n" * newline))
    return 0


async def printf(call: Call) -> int:
    args = call.args[1:] if call.args[:1] == ["--"] else call.args
    if not args:
        raise UsageError("usage: printf format [arg ...]")
    template, values = unescaped(args[0]), args[1:]
    pieces = re.split(r"(%[-0]?\d*(?:\.\d+)?[%sdiuxXobc])", template)
    conversions = sum(piece != "%%" for piece in pieces[1::2])
    output = []
    while True:
        for index, piece in enumerate(pieces):
            if index % 2 == 0 or piece == "%%":
                output.append(piece.replace("%%", "%") if index % 2 else piece)
            else:
                output.append(_formatted(piece[1:], values.pop(0) if values else ""))
        if not values or not conversions:
            break
    await call.out.write(encode("".join(output)))
    return 0


def _formatted(spec: str, value: str) -> str:
    flags, kind = spec[:-1], spec[-1]
    if kind == "b":
        return unescaped(value)
    if kind in "sc":
        return f"%{flags}s" % (value[:1] if kind == "c" else value)
    try:
        number = int(value, 0) if value else 0
    except ValueError:
        number = 0
    return f"%{flags}{'d' if kind in 'iu' else kind}" % number


async def head(call: Call) -> int:
    args = list(call.args)
    if args and re.fullmatch(r"-\d+", args[0]):  # the old form, `head -3`
        args[0] = "-n" + args[0][1:]
    found, names = options(args, "q", "nc")
    if "c" in found:
        left = size_of(found["c"])
        for name in names or ["-"]:
            reader = call.stdin if name == "-" else call.files.reader(call.path(name))
            while left and (chunk := await reader.read(min(left, CHUNK))):
                left -= len(chunk)
                await call.out.write(chunk)
        return 0
    left = size_of(found.get("n", "10"))
    async for chunk in call.inputs(names):
        if left <= 0:
            break
        lines = chunk.split(b"\n", left)
        whole = len(lines) <= left
        await call.out.write(chunk if whole else chunk[: len(chunk) - len(lines[-1])])
        left = left - (len(lines) - 1)
    return 0


async def tail(call: Call) -> int:
    args = list(call.args)
    if args and re.fullmatch(r"-\d+|\+\d+", args[0]):  # the old form, `tail -3`
        args[0] = "-n" + args[0].removeprefix("-")
    found, names = options(args, "q", "nc")
    unit, text = ("c", found["c"]) if "c" in found else ("n", found.get("n", "10"))
    count = size_of(text.lstrip("+-"))
    if text.startswith("+"):
        await _tail_from(call, names, unit, max(0, count - 1))
        return 0
    kept = bytearray()
    async for chunk in call.inputs(names):
        kept += chunk
        if unit == "c":
            del kept[: max(0, len(kept) - count)]
    if unit == "n":
        lines = bytes(kept).splitlines(keepends=True)
        kept = bytearray(b"".join(lines[len(lines) - count :] if count < len(lines) else lines))
    await call.out.write(bytes(kept) if count else b"")
    return 0


async def _tail_from(call: Call, names: list[str], unit: str, skip: int) -> None:
    """Everything after the first `skip` bytes or lines, as it comes."""
    async for chunk in call.inputs(names):
        if not skip:
            await call.out.write(chunk)
        elif unit == "c":
            await call.out.write(chunk[skip:])
            skip = max(0, skip - len(chunk))
        else:
            lines = chunk.splitlines(keepends=True)
            await call.out.write(b"".join(lines[skip:]))
            skip = max(0, skip - len(lines))


async def tee(call: Call) -> int:
    found, names = options(call.args, "ai")
    writers = [call.files.writer(call.path(name), append="a" in found, now=call.host.now()) for name in names]
    async for chunk in chunks(call.stdin):
        for writer in (call.out, *writers):
            await writer.write(chunk)
    for writer in writers:
        writer.close()
    return 0


async def wc(call: Call) -> int:
    found, names = options(call.args, "clwm")
    lines = words = size = 0
    inside = False
    async for chunk in call.inputs(names):
        lines += chunk.count(b"\n")
        size += len(chunk)
        pieces = chunk.split()
        words += len(pieces) - (inside and chunk[:1] not in b" \t\n\r" and bool(pieces))
        inside = chunk[-1:] not in b" \t\n\r"
    values = {"l": lines, "w": words, "c": size, "m": size}
    shown = [str(values[letter]) for letter in "lwcm" if letter in found] or [
        str(lines),
        str(words),
        str(size),
    ]
    return await call.print(" ".join(shown + names))


async def od(call: Call) -> int:
    found, names = options(call.args, "vbcdx", "ANtjw")
    reader = call.files.reader(call.path(names[0])) if names else call.stdin
    await read_exactly(reader, size_of(found.get("j", "0")))
    limit = size_of(found["N"]) if "N" in found else 1 << 24
    data = await read_exactly(reader, limit)
    kind = found.get("t", "o2")
    width = int(kind[1:] or 4)
    base, digits = {
        "u": ("d", 3 if width == 1 else 10),
        "x": ("x", 2 * width),
        "o": ("o", 3 * width),
        "d": ("d", 4),
    }[kind[0]]
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        numbers = [int.from_bytes(row[at : at + width], "little") for at in range(0, len(row), width)]
        padding = " " if base == "d" else "0"
        cells = "".join(f" {number:{padding}>{digits}{base}}" for number in numbers)
        await call.print(("" if found.get("A") == "n" else f"{start:07o}") + cells)
    return 0 if found.get("A") == "n" else await call.print(f"{len(data):07o}")


async def yes(call: Call) -> int:
    line = encode(" ".join(call.args or ["y"]) + "\n") * 1000
    while True:
        await call.out.write(line)
        await asyncio.sleep(0)


TOOLS: Mapping[str, Tool] = {
    "cat": cat, "echo": echo, "printf": printf, "head": head, "tail": tail, "tee": tee, "wc": wc,
    "od": od, "yes": yes,
}  # fmt: skip
