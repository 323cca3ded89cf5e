"""Files and folders: ls, find, stat, test, mkdir, rm, cp, mv, ln, touch, chmod, readlink, mktemp… on the tree in memory."""

import fnmatch
import posixpath
import stat as modes
import time
from collections.abc import Iterator, Mapping

from iso.lab.shell.call import Call, Tool, UsageError, options
from iso.lab.shell.files import Dir, File, Link, Node
from iso.lab.shell.streams import chunks
from iso.lab.tools.text import unescaped


def _kind(node: Node) -> str:
    if isinstance(node, Dir):
        return "d"
    if isinstance(node, Link):
        return "l"
    if isinstance(node, File):
        return "f"
    return "b" if node.block else "c"


_TYPE_BITS = {"d": modes.S_IFDIR, "l": modes.S_IFLNK, "f": modes.S_IFREG, "b": modes.S_IFBLK, "c": modes.S_IFCHR}
_TYPE_WORDS = {"d": "directory", "l": "symbolic link", "f": "regular file", "b": "block special file",
               "c": "character special file"}  # fmt: skip


def _mode(node: Node) -> int:
    rights = node.mode if isinstance(node, File) else {"d": 0o755, "l": 0o777}.get(_kind(node), 0o660)
    return _TYPE_BITS[_kind(node)] | rights


def _size(node: Node) -> int:
    return len(node.data) if isinstance(node, File) else 0


async def ls(call: Call) -> int:
    found, names = options(call.args, "laA1dhLRtrF")
    status = 0
    lines: list[str] = []
    for name in names or ["."]:
        path = call.path(name)
        node = call.files.find(path, follow="d" not in found)
        if node is None:
            status = await call.fail(f"cannot access '{name}': No such file or directory", 2)
        elif isinstance(node, Dir) and "d" not in found:
            if len(names) > 1:
                lines.append(f"{name}:")
            hidden = "a" in found or "A" in found
            for entry, child in sorted(node.entries().items()):
                if hidden or not entry.startswith("."):
                    lines.append(_listed(entry, child, long="l" in found))
        else:
            lines.append(_listed(name, node, long="l" in found))
    await call.print(*lines)
    return status


def _listed(name: str, node: Node, *, long: bool) -> str:
    if not long:
        return name
    when = time.strftime("%b %e %H:%M", time.gmtime(node.mtime if isinstance(node, File) else 0))
    tail = f" -> {node.target}" if isinstance(node, Link) else ""
    return f"{modes.filemode(_mode(node))} 1 root root {_size(node):>8} {when} {name}{tail}"


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
        elif option in ("-type", "-name", "-iname", "-maxdepth", "-mindepth", "-printf", "-path", "-user", "-perm") and args:
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
        _kind(node) in tests.get("-type", _kind(node))
        and fnmatch.fnmatchcase(name, tests.get("-name", "*"))
        and fnmatch.fnmatchcase(name.lower(), tests.get("-iname", "*").lower())
        and fnmatch.fnmatchcase(path, tests.get("-path", "*"))
    )


async def _shown(call: Call, path: str, node: Node, tests: Mapping[str, str]) -> None:
    if "-printf" in tests:
        values = {"%f": posixpath.basename(path) or "/", "%p": path, "%h": posixpath.dirname(path), "%y": _kind(node),
                  "%l": node.target if isinstance(node, Link) else "", "%s": str(_size(node)),
                  "%m": f"{_mode(node) & 0o7777:o}", "%u": "root", "%g": "root"}  # fmt: skip
        text = unescaped(tests["-printf"])
        for token, value in values.items():
            text = text.replace(token, value)
        await call.out.write(text.encode("utf-8", "surrogateescape"))
    else:
        await call.out.write((path + ("\0" if "-print0" in tests else "\n")).encode("utf-8", "surrogateescape"))


async def stat(call: Call) -> int:
    found, names = options(["-c" + arg.split("=", 1)[1] if arg.startswith("--format=") else arg for arg in call.args], "Lf", "c")
    status = 0
    for name in names:
        node = call.files.find(call.path(name), follow="L" in found)
        if node is None:
            status = await call.fail(f"cannot statx '{name}': No such file or directory")
            continue
        stamp = int(node.mtime) if isinstance(node, File) else 0
        link = f" -> '{node.target}'" if isinstance(node, Link) else ""
        values = {"%n": name, "%N": f"'{name}'{link}", "%s": str(_size(node)), "%F": _TYPE_WORDS[_kind(node)],
                  "%a": f"{_mode(node) & 0o7777:o}", "%A": modes.filemode(_mode(node)), "%f": f"{_mode(node):x}",
                  "%U": "root", "%G": "root", "%u": "0", "%g": "0", "%X": str(stamp), "%Y": str(stamp),
                  "%Z": str(stamp), "%i": "1", "%h": "1"}  # fmt: skip
        text = found.get("c", "%n %s %F")
        for token, value in values.items():
            text = text.replace(token, value)
        await call.print(text)
    return status


async def mkdir(call: Call) -> int:
    found, names = options(call.args, "pv", "m")
    for name in names:
        path = call.path(name)
        if "p" in found:
            call.files.make_dirs(path)
            continue
        folder, entry = call.files.parent(path)
        if entry in folder.entries():
            return await call.fail(f"cannot create directory '{name}': File exists")
        folder.children[entry] = Dir()
    return 0


async def rm(call: Call) -> int:
    found, names = options(call.args, "rRfvd")
    for name in names:
        path = call.path(name)
        node = call.files.find(path, follow=False)
        if node is None:
            if "f" not in found:
                return await call.fail(f"cannot remove '{name}': No such file or directory")
            continue
        if isinstance(node, Dir) and not {"r", "R"} & set(found) and not ("d" in found and not node.entries()):
            return await call.fail(f"cannot remove '{name}': Is a directory")
        call.files.remove(path)
    return 0


async def rmdir(call: Call) -> int:
    for name in call.args:
        if call.files.directory(call.path(name)).entries():
            return await call.fail(f"failed to remove '{name}': Directory not empty")
        call.files.remove(call.path(name))
    return 0


def _target(call: Call, source: str, target: str) -> str:
    path = call.path(target)
    return posixpath.join(path, posixpath.basename(source.rstrip("/"))) if isinstance(call.files.find(path), Dir) else path


async def mv(call: Call) -> int:
    _, names = options(call.args, "fnv")
    for source in names[:-1]:
        node = call.files.find(call.path(source), follow=False)
        if node is None:
            return await call.fail(f"cannot stat '{source}': No such file or directory")
        folder, name = call.files.parent(_target(call, source, names[-1]))
        call.files.remove(call.path(source))
        folder.children[name] = node
    return 0


async def cp(call: Call) -> int:
    _, names = options(call.args, "afprRvL")
    for source in names[:-1]:
        node = call.files.get(call.path(source))
        if isinstance(node, Dir):
            return await call.fail(f"-r not specified; omitting directory '{source}'")
        writer = call.files.writer(_target(call, source, names[-1]), now=call.host.now())
        async for chunk in chunks(call.files.reader(call.path(source))):
            await writer.write(chunk)
        writer.close()
    return 0


async def ln(call: Call) -> int:
    found, names = options(call.args, "sfnv")
    if "s" not in found or len(names) != 2:
        raise UsageError("only `ln -s TARGET NAME` exists here")
    folder, name = call.files.parent(_target(call, names[0], names[1]))
    if name in folder.entries() and "f" not in found:
        return await call.fail(f"failed to create symbolic link '{names[1]}': File exists")
    folder.children[name] = Link(names[0])
    return 0


async def touch(call: Call) -> int:
    _, names = options(call.args, "acm", "drt")
    for name in names:
        call.files.writer(call.path(name), append=True, now=call.host.now()).close()
    return 0


async def chmod(call: Call) -> int:
    args = [arg for arg in call.args if arg not in ("-R", "-f", "-v")]
    for name in args[1:]:
        node = call.files.get(call.path(name))
        if isinstance(node, File):
            node.mode = int(args[0], 8) if args[0].isdigit() else node.mode | (0o111 if "x" in args[0] else 0o444)
    return 0


async def chown(call: Call) -> int:
    for name in call.args[1:]:
        call.files.get(call.path(name))  # everything is root's here: existing is enough
    return 0


async def readlink(call: Call) -> int:
    found, names = options(call.args, "femnqs")
    status = 0
    for name in names:
        path = call.path(name)
        node = call.files.find(path, follow=False)
        if {"f", "e", "m"} & set(found):
            real = call.files.real_path(path)
            missing = call.files.find(real) is None
            known = isinstance(call.files.find(posixpath.dirname(real)), Dir)
            if (missing and "e" in found) or (not known and "m" not in found):
                status = 1
            else:
                await call.print(real)
        elif isinstance(node, Link):
            await call.print(node.target)
        else:
            status = 1
    return status


async def realpath(call: Call) -> int:
    call.args = ["-f", *call.args]
    return await readlink(call)


async def mktemp(call: Call) -> int:
    found, names = options(call.args, "dqut", "p")
    template = names[0] if names else "tmp.XXXXXXXXXX"
    head = template.rstrip("X")
    folder = found.get("p") or call.env.get("TMPDIR", "/tmp")  # noqa: S108 - the lab's own tree
    name = head + call.host.unique(len(template) - len(head))
    path = call.path(name if names and "p" not in found and "t" not in found else posixpath.join(folder, name))
    parent, entry = call.files.parent(path)
    parent.children[entry] = Dir() if "d" in found else File(mode=0o600)
    return await call.print(path)


async def basename(call: Call) -> int:
    name = posixpath.basename(call.args[0].rstrip("/")) or "/"
    return await call.print(name.removesuffix(call.args[1]) if len(call.args) > 1 and name != call.args[1] else name)


async def dirname(call: Call) -> int:
    return await call.print(*(posixpath.dirname(name.rstrip("/")) or ("/" if name.startswith("/") else ".") for name in call.args))


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
                first, second = int(left), int(right)
                return (first > second) - (first < second) in self._COMPARE[operator]
            return (left == right) is (operator != "!=")
        first = args.pop(0)
        if first == "!" and args:
            return not self.one()
        if first == "(" and args:
            value = self.either()
            args.pop(0)
            return value
        if len(first) == 2 and first[0] == "-" and first[1] in "bcdefhLnrswxzt" and args and args[0] not in ("-a", "-o"):
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
        kind = _kind(node)
        checks = {"e": True, "r": True, "w": True, "s": _size(node) > 0 or kind in "db", "L": kind == "l", "h": kind == "l",
                  "x": kind == "d" or bool(_mode(node) & 0o111)}  # fmt: skip
        return checks.get(letter, kind == letter)


async def df(call: Call) -> int:
    """The root of a bootstrap environment is memory."""
    return await call.print("Filesystem     1K-blocks   Used Available Use% Mounted on",
                            "overlay          2097152 262144   1835008  13% /")  # fmt: skip


TOOLS: Mapping[str, Tool] = {
    "ls": ls, "find": find, "stat": stat, "mkdir": mkdir, "rm": rm, "rmdir": rmdir, "mv": mv, "cp": cp, "ln": ln,
    "touch": touch, "chmod": chmod, "chown": chown, "chgrp": chown, "readlink": readlink, "realpath": realpath,
    "mktemp": mktemp, "basename": basename, "dirname": dirname, "test": test, "[": test, "df": df,
}  # fmt: skip
