"""Opens what a redirection names and puts it in the shell's descriptors. The shell restores them."""

import errno
from typing import TYPE_CHECKING, Protocol

from iso.lab.shell import expand, tree
from iso.lab.shell.files import problem
from iso.lab.shell.streams import Nowhere, Reader, Writer

if TYPE_CHECKING:
    from iso.lab.shell.interpreter import Shell

_STANDARD = ("/dev/stdin", "/dev/stdout", "/dev/stderr")


class Closable(Protocol):
    def close(self) -> None: ...


async def redirected(shell: "Shell", redirect: tree.Redirect) -> list[Closable]:
    """Apply one redirection; what must be closed afterwards. Raises OSError."""
    target = await expand.string(shell, redirect.target)
    if redirect.operator == ">&":
        shell.fds[redirect.fd] = Nowhere() if target == "-" else _existing(shell, target)
        return []
    path = target if target.startswith("/") else f"{shell.cwd}/{target}"
    if path == "/dev/null":
        shell.fds[redirect.fd] = Nowhere()
    elif path in _STANDARD:
        shell.fds[redirect.fd] = _existing(shell, str(_STANDARD.index(path)))
    elif redirect.operator == "<":
        shell.fds[redirect.fd] = shell.files.reader(path)
    else:
        writer = shell.files.writer(path, append=redirect.operator == ">>", now=shell.host.now())
        shell.fds[redirect.fd] = writer
        return [writer]
    return []


def _existing(shell: "Shell", number: str) -> Reader | Writer:
    stream = shell.fds.get(int(number)) if number.isdigit() else None
    if stream is None:
        raise problem(errno.EBADF, number)
    return stream
