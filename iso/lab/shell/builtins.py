"""The commands that change the shell itself: cd, set, export, read, exit… Everything else is a tool."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from iso.lab.shell.call import decode, encode
from iso.lab.shell.files import Dir, problem
from iso.lab.shell.signals import ExitShell, LoopControl
from iso.lab.shell.streams import read_line

if TYPE_CHECKING:
    from iso.lab.shell.interpreter import Shell

Builtin = Callable[["Shell", list[str]], Awaitable[int]]


async def _cd(shell: "Shell", args: list[str]) -> int:
    target = args[0] if args else shell.variables.get("HOME", "/root")
    path = target if target.startswith("/") else f"{shell.cwd}/{target}"
    if not isinstance(shell.files.find(path), Dir):
        return await shell.complain(f"cd: can't cd to {target}", 2)
    shell.cwd = shell.files.real_path(path)
    shell.variables["PWD"] = shell.cwd
    return 0


async def _pwd(shell: "Shell", _args: list[str]) -> int:
    await shell.out.write(encode(shell.cwd + "\n"))
    return 0


async def _export(shell: "Shell", args: list[str]) -> int:
    for arg in args:
        name, found, value = arg.partition("=")
        if found:
            shell.variables[name] = value
        shell.exported.add(name)
    return 0


async def _unset(shell: "Shell", args: list[str]) -> int:
    for name in args:
        shell.variables.pop(name, None)
    return 0


async def _set(shell: "Shell", args: list[str]) -> int:
    """-e and +e act; -u and -f are accepted; the rest become the positional parameters."""
    while args and args[0][:1] in "-+" and args[0] not in ("--", ""):
        option = args.pop(0)
        if option == "-o" and args:
            option = "-" + {"errexit": "e", "nounset": "u"}.get(args.pop(0), "?")
        unknown = set(option[1:]) - set("euf")
        if unknown:
            return await shell.complain(f"set: Illegal option -{min(unknown)}", 2)
        if "e" in option:
            shell.errexit = option[0] == "-"
    if args:
        shell.arguments = tuple(args[1:] if args[0] == "--" else args)
    return 0


async def _shift(shell: "Shell", args: list[str]) -> int:
    shell.arguments = shell.arguments[int(args[0]) if args else 1 :]
    return 0


async def _exit(shell: "Shell", args: list[str]) -> int:
    raise ExitShell(int(args[0]) & 255 if args and args[0].isdigit() else shell.status)


async def _break(_shell: "Shell", args: list[str]) -> int:
    raise LoopControl(int(args[0]) if args else 1, leaves=True)


async def _continue(_shell: "Shell", args: list[str]) -> int:
    raise LoopControl(int(args[0]) if args else 1, leaves=False)


async def _read(shell: "Shell", args: list[str]) -> int:
    names = [arg for arg in args if not arg.startswith("-")] or ["REPLY"]
    line = decode(await read_line(shell.stdin))
    values = line.rstrip("\n").split(None, len(names) - 1)
    for index, name in enumerate(names):
        shell.variables[name] = values[index].rstrip() if index < len(values) else ""
    return 0 if line.endswith("\n") else 1


async def _eval(shell: "Shell", args: list[str]) -> int:
    return await shell.run_here(" ".join(args))


async def _source(shell: "Shell", args: list[str]) -> int:
    if not args:
        return await shell.complain(".: filename argument required", 2)
    path = args[0] if args[0].startswith("/") else f"{shell.cwd}/{args[0]}"
    if shell.files.find(path) is None:
        raise problem(errno.ENOENT, args[0])
    return await shell.run_here(decode(shell.files.read(path)))


async def _exec(shell: "Shell", args: list[str]) -> int:
    if not args:
        return 0  # its redirections stay: the interpreter sees to that
    raise ExitShell(await shell.run_argv(args))


async def _command(shell: "Shell", args: list[str]) -> int:
    if args and args[0] in ("-v", "-V"):
        status = 0
        for name in args[1:]:
            base = name.rpartition("/")[2]
            if name in BUILTINS:
                await shell.out.write(encode(name + "\n"))
            elif base in shell.host.tools:
                await shell.out.write(encode(f"/usr/bin/{base}\n"))
            else:
                status = 127
        return status
    rest = args[1:] if args[:1] in (["-p"], ["--"]) else args
    return await shell.run_argv(rest) if rest else 0


async def _wait(shell: "Shell", _args: list[str]) -> int:
    await asyncio.gather(*shell.background, return_exceptions=True)
    shell.background.clear()
    return 0


async def _nothing(_shell: "Shell", _args: list[str]) -> int:
    return 0


async def _false(_shell: "Shell", _args: list[str]) -> int:
    return 1


BUILTINS: Mapping[str, Builtin] = {
    ":": _nothing, "true": _nothing, "false": _false, "umask": _nothing, "hash": _nothing,
    "cd": _cd, "pwd": _pwd, "export": _export, "unset": _unset, "set": _set, "shift": _shift,
    "exit": _exit, "break": _break, "continue": _continue, "read": _read, "eval": _eval,
    ".": _source, "exec": _exec, "command": _command, "wait": _wait,
}  # fmt: skip
