"""Filters that work line by line or character by character: tr, sort, uniq, cut."""

import re
from collections.abc import Mapping

from iso.lab.shell.call import Call, Tool, UsageError, decode, encode, options
from iso.lab.shell.streams import chunks
from iso.lab.tools.text import unescaped


def _character_set(text: str) -> bytes:
    for name, ranges in (
        ("[:upper:]", "A-Z"),
        ("[:lower:]", "a-z"),
        ("[:digit:]", "0-9"),
        ("[:space:]", " \\t\\n\\r\\v\\f"),
        ("[:alnum:]", "A-Za-z0-9"),
        ("[:alpha:]", "A-Za-z"),
        ("[:cntrl:]", "\\000-\\037\\177"),
        ("[:print:]", " -~"),
    ):
        text = text.replace(name, ranges)
    raw = encode(unescaped(text))
    members = bytearray()
    index = 0
    while index < len(raw):
        if raw[index + 1 : index + 2] == b"-" and index + 2 < len(raw):
            members += bytes(range(raw[index], raw[index + 2] + 1))
            index += 3
        else:
            members.append(raw[index])
            index += 1
    return bytes(members)


async def tr(call: Call) -> int:
    found, sets = options(call.args, "dscC")
    if not sets:
        raise UsageError("missing operand")
    first = _character_set(sets[0])
    if "c" in found or "C" in found:
        first = bytes(value for value in range(256) if value not in first)
    second = _character_set(sets[1]) if len(sets) > 1 else b""
    squeezed = second or first
    table, delete = None, first if "d" in found else b""
    if second and "d" not in found:
        table = bytes.maketrans(first, (second + second[-1:] * len(first))[: len(first)])
    last = b""
    async for chunk in chunks(call.stdin):
        data = chunk.translate(table, delete)
        if "s" in found:
            kept = bytearray()
            for value in data:
                if not (value in squeezed and last == bytes([value])):
                    kept.append(value)
                last = bytes([value])
            data = bytes(kept)
        await call.out.write(data)
    return 0


async def _lines(call: Call, names: list[str]) -> list[str]:
    data = b"".join([chunk async for chunk in call.inputs(names)])
    lines = decode(data).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


async def sort(call: Call) -> int:
    found, names = options(call.args, "unrVfb", "kt")
    lines = await _lines(call, names)
    column = int(found["k"].split(",")[0].split(".")[0]) - 1 if "k" in found else None

    def key(line: str) -> tuple[object, ...]:
        fields = line.split(found["t"]) if found.get("t") else line.split()
        text = line if column is None else fields[column] if column < len(fields) else ""
        if "n" in found:
            number = re.match(r"\s*-?\d+(\.\d+)?", text)
            return (float(number.group()) if number else 0.0, line)
        if "V" in found:
            return tuple(
                (0, int(piece), "") if piece.isdigit() else (1, 0, piece)
                for piece in re.split(r"(\d+)", text)
            )
        return (text, line)

    lines.sort(key=key, reverse="r" in found)
    return await call.print(*(dict.fromkeys(lines) if "u" in found else lines))


async def uniq(call: Call) -> int:
    found, names = options(call.args, "cdu")
    groups: list[tuple[str, int]] = []
    for line in await _lines(call, names):
        if groups and groups[-1][0] == line:
            groups[-1] = (line, groups[-1][1] + 1)
        else:
            groups.append((line, 1))
    chosen = [
        (line, n) for line, n in groups if not ("d" in found and n < 2) and not ("u" in found and n > 1)
    ]
    return await call.print(*(f"{n:7d} {line}" if "c" in found else line for line, n in chosen))


async def cut(call: Call) -> int:
    found, names = options(call.args, "s", "dfcb")
    wanted = found.get("f") or found.get("c") or found.get("b") or ""
    ranges = [part.partition("-") for part in wanted.split(",")]
    delimiter = found.get("d", "\t") if "f" in found else ""

    def picked(line: str) -> str:
        if delimiter and delimiter not in line:
            return line
        cells = line.split(delimiter) if delimiter else list(line)
        keep = [
            cell
            for index, cell in enumerate(cells, 1)
            if any(
                int(low or 1) <= index <= (int(high or len(cells)) if dash else int(low))
                for low, dash, high in ranges
            )
        ]
        return delimiter.join(keep)

    return await call.print(*(picked(line) for line in await _lines(call, names)))


TOOLS: Mapping[str, Tool] = {"tr": tr, "sort": sort, "uniq": uniq, "cut": cut}
