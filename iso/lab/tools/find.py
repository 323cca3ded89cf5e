"""find on the tree in memory: -type -name -iname -path -maxdepth -mindepth -printf -print -print0."""

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping

from iso.lab.shell.call import Call, Tool, UsageError
from iso.lab.shell.files import Dir, Link, Node
from iso.lab.tools.file import kind, mode, size
from iso.lab.tools.text import unescaped


async def find(call: Call) -> int:
    """-type -name -iname -maxdepth -mindepth -printf -print -print0; folders first."""
    args = list(call.args)
    starts: list[str] = []
    while args and not args[0].startswith(("-", "!", "(")):
        starts.append(args.pop(0))
    tests: dict[str, str] = {}
    while args:
        option = args.pop(0)
        if option in ("-print", "-print0", "-L", "-H"):
            tests[option] = ""
        elif (
            option
            in ("-type", "-name", "-iname", "-maxdepth", "-mindepth", "-printf", "-path", "-user", "-perm")
            and args
        ):
            tests[option] = args.pop(0)
        else:
            raise UsageError(f"unknown predicate '{option}'")
    status = 0
    for start in starts or ["."]:
        node = call.files.find(call.path(start), follow=start.endswith("/"))
        if node is None:
            status = await call.fail(f"'{start}': No such file or directory")
            continue
        for path, child, depth in _walk(start, node, int(tests.get("-maxdepth", 64))):
            if depth >= int(tests.get("-mindepth", 0)) and _wanted(path, child, tests):
                await _shown(call, path, child, tests)
    return status


def _walk(path: str, node: Node, levels: int, depth: int = 0) -> Iterator[tuple[str, Node, int]]:
    yield path, node, depth
    if isinstance(node, Dir) and depth < levels:
        for name, child in sorted(node.entries().items()):
            yield from _walk(posixpath.join(path, name), child, levels, depth + 1)


def _wanted(path: str, node: Node, tests: Mapping[str, str]) -> bool:
    name = posixpath.basename(path)
    return (
        kind(node) in tests.get("-type", kind(node))
        and fnmatch.fnmatchcase(name, tests.get("-name", "*"))
        and fnmatch.fnmatchcase(name.lower(), tests.get("-iname", "*").lower())
        and fnmatch.fnmatchcase(path, tests.get("-path", "*"))
    )


async def _shown(call: Call, path: str, node: Node, tests: Mapping[str, str]) -> None:
    if "-printf" in tests:
        values = {
            "%f": posixpath.basename(path) or "/",
            "%p": path,
            "%h": posixpath.dirname(path),
            "%y": kind(node),
            "%l": node.target if isinstance(node, Link) else "",
            "%s": str(size(node)),
            "%m": f"{mode(node) & 0o7777:o}",
            "%u": "root",
            "%g": "root",
        }
        text = unescaped(tests["-printf"])
        for token, value in values.items():
            text = text.replace(token, value)
        await call.out.write(text.encode("utf-8", "surrogateescape"))
    else:
        await call.out.write(
            (path + ("\0" if "-print0" in tests else "\n")).encode("utf-8", "surrogateescape")
        )


TOOLS: Mapping[str, Tool] = {"find": find}
