"""Runs one command by its name: a tool, a builtin, or a script of the tree. Has no syntax of its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iso.lab.shell.builtins import BUILTINS
from iso.lab.shell.call import Call, Tool, UsageError, decode, encode
from iso.lab.shell.streams import chunks

if TYPE_CHECKING:
    from iso.lab.shell.interpreter import Shell

_SIGPIPE = 141
_LOGGED = 300  # characters of an argument that are remembered
_FOLDERS = {"/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"}


async def execute(shell: "Shell", argv: Sequence[str], env: Mapping[str, str]) -> int:
    folder, _, name = argv[0].rpartition("/")
    if folder and folder not in _FOLDERS:
        return await _script(shell, argv)
    tool = shell.host.tools.get(name)
    if tool is not None:
        call = Call(
            name, list(argv[1:]), shell.stdin, shell.out, shell.err, env, shell.cwd, shell, shell.host
        )
        return await _run(tool, call)
    builtin = BUILTINS.get(name)
    if builtin is not None:
        return await builtin(shell, list(argv[1:]))
    return await _script(shell, argv)


async def _run(tool: Tool, call: Call) -> int:
    call.host.log("command", argv=[call.name, *(arg[:_LOGGED] for arg in call.args)])
    lie = call.host.faults.take("lie", call.name)
    if lie is not None:
        return await _lie(call, lie)
    try:
        return await tool(call)
    except UsageError as error:
        return await call.fail(str(error), 2)
    except BrokenPipeError:
        return _SIGPIPE
    except OSError as error:
        return await call.fail(
            f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        )


async def _lie(call: Call, lie: Mapping[str, Any]) -> int:
    """Take what comes, do nothing, claim what the fault says (success, unless it says otherwise)."""
    async for _ in chunks(call.stdin):
        pass
    text = str(lie.get("stdout", ""))
    await call.out.write(encode(text * int(lie.get("repeat", 1))))
    return int(lie.get("status", 0))


async def _script(shell: "Shell", argv: Sequence[str]) -> int:
    """A script of the tree, if there is one at that path."""
    path = argv[0] if argv[0].startswith("/") else f"{shell.cwd}/{argv[0]}"
    if "/" in argv[0] and shell.files.find(path) is not None:
        return await shell.run_script(decode(shell.files.read(path)), tuple(argv[1:]))
    return await shell.complain(f"{argv[0]}: not found", 127)
