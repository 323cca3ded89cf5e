"""What a shell of the lab's machines knows: variables, folder, descriptors, parameters. Runs nothing."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from iso.lab.shell.call import encode
from iso.lab.shell.streams import Nowhere, Reader, Writer

if TYPE_CHECKING:
    from iso.lab.host import Host


class ShellState:
    def __init__(
        self,
        host: "Host",
        fds: Mapping[int, Reader | Writer],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.host, self.files = host, host.files
        self.fds: dict[int, Reader | Writer] = dict(fds)
        self.variables: dict[str, str] = dict(env or {})
        self.exported: set[str] = set(self.variables)
        self.cwd, self.arguments, self.name = cwd, arguments, "sh"
        self.status = 0
        self._substituted = 0  # status of the last $(…)
        self.errexit = False
        self.background: list[asyncio.Task[int]] = []
        self._tested = 0  # inside a condition, where `set -e` does not act

    # --- what tools and builtins use -------------------------------------------------------------
    @property
    def stdin(self) -> Reader:
        return self.fds.get(0, Nowhere())  # type: ignore[return-value]

    @property
    def out(self) -> Writer:
        return self.fds.get(1, Nowhere())  # type: ignore[return-value]

    @property
    def err(self) -> Writer:
        return self.fds.get(2, Nowhere())  # type: ignore[return-value]

    def env(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    async def complain(self, message: str, status: int) -> int:
        await self.err.write(encode(f"{self.name}: {message}\n"))
        return status

    # --- Parameters, for `expand` ----------------------------------------------------------------
    def parameter(self, name: str) -> str | None:
        special = {
            "?": str(self.status),
            "#": str(len(self.arguments)),
            "$": "4242",
            "!": "4243",
            "0": self.name,
        }
        if name in special:
            return special[name]
        if name in ("@", "*"):
            return " ".join(self.arguments)
        if name.isdigit():
            return self.arguments[int(name) - 1] if int(name) <= len(self.arguments) else None
        return self.variables.get(name)
