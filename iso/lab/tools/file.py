"""Files and folders of the tree in memory: ls, stat, mkdir, rm, cp, mv, ln, touch, chmod, readlink…"""

import posixpath
import stat as modes
import time
from collections.abc import Mapping

from iso.lab.shell.call import Call, Tool, UsageError, options
from iso.lab.shell.files import Dir, File, Link, Node
from iso.lab.shell.streams import chunks


def kind(node: Node) -> str:
    if isinstance(node, Dir):
        return "d"
    if isinstance(node, Link):
        return "l"
    if isinstance(node, File):
        return "f"
    return "b" if node.block else "c"


_TYPE_BITS = {
    "d": modes.S_IFDIR,
    "l": modes.S_IFLNK,
    "f": modes.S_IFREG,
    "b": modes.S_IFBLK,
    "c": modes.S_IFCHR,
}
_TYPE_WORDS = {"d": "directory", "l": "symbolic link", "f": "regular file", "b": "block special file",
               "c": "character special file"}  # fmt: skip


def mode(node: Node) -> int:
    rights = node.mode if isinstance(node, File) else {"d": 0o755, "l": 0o777}.get(kind(node), 0o660)
    return _TYPE_BITS[kind(node)] | rights


def size(node: Node) -> int:
    return len(node.data) if isinstance(node, File) else 0


async def ls(call: Call) -> int:
    found, names = options(call.args, "laA1dhLRtrFp")
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
                    lines.append(_listed(entry, child, found))
        else:
            lines.append(_listed(name, node, found))
    await call.print(*lines)
    return status


def _listed(name: str, node: Node, found: Mapping[str, str]) -> str:
    if isinstance(node, Dir) and ("p" in found or "F" in found):
        name += "/"
    if "l" not in found:
        return name
    when = time.strftime("%b %e %H:%M", time.gmtime(node.mtime if isinstance(node, File) else 0))
    tail = f" -> {node.target}" if isinstance(node, Link) else ""
    return f"{modes.filemode(mode(node))} 1 root root {size(node):>8} {when} {name}{tail}"


async def stat(call: Call) -> int:
    found, names = options(
        ["-c" + arg.split("=", 1)[1] if arg.startswith("--format=") else arg for arg in call.args], "Lf", "c"
    )
    status = 0
    for name in names:
        node = call.files.find(call.path(name), follow="L" in found)
        if node is None:
            status = await call.fail(f"cannot statx '{name}': No such file or directory")
            continue
        stamp = int(node.mtime) if isinstance(node, File) else 0
        link = f" -> '{node.target}'" if isinstance(node, Link) else ""
        values = {
            "%n": name,
            "%N": f"'{name}'{link}",
            "%s": str(size(node)),
            "%F": _TYPE_WORDS[kind(node)],
            "%a": f"{mode(node) & 0o7777:o}",
            "%A": modes.filemode(mode(node)),
            "%f": f"{mode(node):x}",
            "%U": "root",
            "%G": "root",
            "%u": "0",
            "%g": "0",
            "%X": str(stamp),
            "%Y": str(stamp),
            "%Z": str(stamp),
            "%i": "1",
            "%h": "1",
        }
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
        if (
            isinstance(node, Dir)
            and not {"r", "R"} & set(found)
            and not ("d" in found and not node.entries())
        ):
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
    return (
        posixpath.join(path, posixpath.basename(source.rstrip("/")))
        if isinstance(call.files.find(path), Dir)
        else path
    )


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
            node.mode = (
                int(args[0], 8) if args[0].isdigit() else node.mode | (0o111 if "x" in args[0] else 0o444)
            )
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
    path = call.path(
        name if names and "p" not in found and "t" not in found else posixpath.join(folder, name)
    )
    parent, entry = call.files.parent(path)
    parent.children[entry] = Dir() if "d" in found else File(mode=0o600)
    return await call.print(path)


async def basename(call: Call) -> int:
    name = posixpath.basename(call.args[0].rstrip("/")) or "/"
    return await call.print(
        name.removesuffix(call.args[1]) if len(call.args) > 1 and name != call.args[1] else name
    )


async def dirname(call: Call) -> int:
    return await call.print(
        *(posixpath.dirname(name.rstrip("/")) or ("/" if name.startswith("/") else ".") for name in call.args)
    )


async def df(call: Call) -> int:
    """The root of a bootstrap environment is memory."""
    return await call.print("Filesystem     1K-blocks   Used Available Use% Mounted on",
                            "overlay          2097152 262144   1835008  13% /")  # fmt: skip


TOOLS: Mapping[str, Tool] = {
    "ls": ls,
    "stat": stat,
    "mkdir": mkdir,
    "rm": rm,
    "rmdir": rmdir,
    "mv": mv,
    "cp": cp,
    "ln": ln,
    "touch": touch,
    "chmod": chmod,
    "chown": chown,
    "chgrp": chown,
    "readlink": readlink,
    "realpath": realpath,
    "mktemp": mktemp,
    "basename": basename,
    "dirname": dirname,
    "df": df,
}
