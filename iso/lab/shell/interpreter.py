"""Runs scripts of the lab's machines: in this process, on the asyncio loop, with streaming input and output.

Starts no process and touches no file of the real machine. Commands are the `tools` of the host; what the
shell itself must do (cd, set, read…) is in `iso.lab.shell.builtins`.
"""

import asyncio
import contextlib
import fnmatch
import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iso.lab.shell import expand, syntax, tree
from iso.lab.shell.builtins import BUILTINS
from iso.lab.shell.call import decode
from iso.lab.shell.execute import execute
from iso.lab.shell.redirects import Closable, redirected
from iso.lab.shell.scanner import ShellSyntaxError
from iso.lab.shell.signals import ExitShell, LoopControl
from iso.lab.shell.state import ShellState
from iso.lab.shell.streams import Collector, Nowhere, Pipe, Reader, Source, Writer

if TYPE_CHECKING:
    from iso.lab.host import Host

_parse = functools.lru_cache(maxsize=64)(syntax.parse)
_SIGPIPE = 141


class Shell(ShellState):
    """One shell that runs what it is given. Subshells are copies."""

    def copy(self, fds: Mapping[int, Reader | Writer] | None = None) -> "Shell":
        other = Shell(
            self.host, {**self.fds, **(fds or {})}, env=self.variables, cwd=self.cwd, arguments=self.arguments
        )
        other.exported = set(self.exported)
        other.status, other.errexit, other.name, other._tested = (
            self.status,
            self.errexit,
            self.name,
            self._tested,
        )
        return other

    def with_fds(self, fds: Mapping[int, Reader | Writer]) -> "Shell":
        return self.copy(fds)

    async def run_script(
        self,
        text: str,
        arguments: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        *,
        name: str = "sh",
    ) -> int:
        """`sh -c text name arguments`: a new shell with this one's environment."""
        shell = Shell(
            self.host, self.fds, env=self.env() if env is None else env, cwd=self.cwd, arguments=arguments
        )
        shell.name = name
        return await shell.run(text)

    async def run(self, text: str) -> int:
        """Run `text` in this shell until it ends or exits."""
        try:
            script = _parse(text)
        except ShellSyntaxError as error:
            return await self.complain(str(error), 2)
        except RecursionError:
            return await self.complain("1: Syntax error: nested too deeply", 2)
        try:
            self.status = await self.script(script)
        except ExitShell as ended:
            self.status = ended.status
        except LoopControl:
            self.status = 0
        except BrokenPipeError:
            self.status = _SIGPIPE
        return self.status

    async def run_here(self, text: str) -> int:
        """`eval text`: in this shell; `exit` ends this shell."""
        try:
            return await self.script(_parse(text))
        except ShellSyntaxError as error:
            return await self.complain(str(error), 2)

    # --- subshells -------------------------------------------------------------------------------
    async def substitute(self, script: tree.Script) -> str:
        output = Collector()
        self.status = self._substituted = await self.copy({1: output}).run_isolated(script)
        return decode(bytes(output.data)).replace("\0", "").rstrip("\n")

    async def run_isolated(self, script: tree.Script) -> int:
        """Run as a subshell: `exit` ends only this."""
        try:
            return await self.script(script)
        except ExitShell as ended:
            return ended.status
        except LoopControl:
            return 0
        except BrokenPipeError:
            return _SIGPIPE

    # --- lists -----------------------------------------------------------------------------------
    async def script(self, script: tree.Script) -> int:
        for item in script:
            if item.background:
                shell = self.copy({0: Nowhere()})
                task = asyncio.ensure_future(shell.run_isolated((tree.AndOr(item.first, item.rest),)))
                self.background.append(task)
                self.host.keep(task)
                self.status = 0
                continue
            self.status = await self._and_or(item)
        return self.status

    async def _and_or(self, item: tree.AndOr) -> int:
        steps = [("", item.first), *item.rest]
        ran = 0
        for index, (operator, pipeline) in enumerate(steps):
            if (operator == "&&" and self.status != 0) or (operator == "||" and self.status == 0):
                continue
            ran = index
            last = index == len(steps) - 1
            async with self._testing(when=not last or pipeline.negated):
                self.status = await self._pipeline(pipeline)
        if (
            self.errexit
            and self.status
            and not self._tested
            and ran == len(steps) - 1
            and not steps[-1][1].negated
        ):
            raise ExitShell(self.status)
        return self.status

    @contextlib.asynccontextmanager
    async def _testing(self, *, when: bool = True) -> AsyncIterator[None]:
        self._tested += when
        try:
            yield
        finally:
            self._tested -= when

    async def _pipeline(self, pipeline: tree.Pipeline) -> int:
        if len(pipeline.commands) == 1:
            status = await self._command(pipeline.commands[0])
        else:
            status = await self._stages(pipeline.commands)
        return int(status == 0) if pipeline.negated else status

    async def _stages(self, commands: tuple[tree.Command, ...]) -> int:
        pipes = [Pipe() for _ in commands[1:]]

        async def stage(index: int, command: tree.Command) -> int:
            before = pipes[index - 1] if index else None
            after = pipes[index] if index < len(pipes) else None
            ends: dict[int, Reader | Writer] = {}
            if before is not None:
                ends[0] = before
            if after is not None:
                ends[1] = after
            shell = self.copy(ends)
            try:
                return await shell.run_isolated((tree.AndOr(tree.Pipeline((command,), negated=False), ()),))
            finally:
                if after is not None:
                    after.end()
                if before is not None:
                    before.break_()

        tasks = [asyncio.ensure_future(stage(index, command)) for index, command in enumerate(commands)]
        try:
            return (await asyncio.gather(*tasks))[-1]
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    # --- commands --------------------------------------------------------------------------------
    async def _command(self, command: tree.Command) -> int:
        if not command.redirects:
            return await self._body(command.body)
        kept = dict(self.fds)
        opened: list[Closable] = []
        try:
            for redirect in command.redirects:
                opened += await redirected(self, redirect)
            return await self._body(command.body)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            self.fds = kept
            return await self.complain(f"cannot open {error.filename}: {error.strerror}", 2)
        finally:
            if not _is_bare_exec(command.body):  # `exec >file`: there the redirections stay
                self.fds = kept
            for stream in opened:
                stream.close()

    async def _body(self, body: Any) -> int:
        match body:
            case tree.Simple():
                return await self._simple(body)
            case tree.Group(inner, subshell):
                return await (self.copy().run_isolated(inner) if subshell else self.script(inner))
            case tree.If():
                return await self._if(body)
            case tree.For(name, words, inner):
                values = list(self.arguments) if words is None else await expand.arguments(self, words)
                return await self._for(name, values, inner)
            case tree.While():
                return await self._while(body)
        return await self._case(body)

    async def _if(self, body: tree.If) -> int:
        for condition, branch in body.branches:
            if await self._condition(condition) == 0:
                return await self.script(branch)
        return await self.script(body.otherwise) if body.otherwise else 0

    async def _condition(self, script: tree.Script) -> int:
        async with self._testing():
            return await self.script(script)

    async def _for(self, name: str, values: Sequence[str], body: tree.Script) -> int:
        status = 0
        for value in values:
            self.variables[name] = value
            try:
                status = await self.script(body)
            except LoopControl as control:
                if control.leave():
                    break
        return status

    async def _while(self, loop: tree.While) -> int:
        status = 0
        while (await self._condition(loop.condition) == 0) is not loop.until:
            try:
                status = await self.script(loop.body)
            except LoopControl as control:
                if control.leave():
                    break
            await asyncio.sleep(0)  # a loop that never waits must not hold up the other machines
        return status

    async def _case(self, case: tree.Case) -> int:
        subject = await expand.string(self, case.subject)
        for patterns, body in case.branches:
            for word in patterns:
                if fnmatch.fnmatchcase(subject, await expand.pattern(self, word)):
                    return await self.script(body)
        return 0

    async def _simple(self, simple: tree.Simple) -> int:
        before, self._substituted = self.status, 0
        assigned = {name: await expand.string(self, value) for name, value in simple.assignments}
        if not simple.words:
            self.variables.update(assigned)
            return self._substituted
        self.status = before
        argv = await expand.arguments(self, simple.words)
        if not argv:
            return 0
        builtin = BUILTINS.get(argv[0])
        if builtin is not None:
            self.variables.update(assigned)
            return await builtin(self, argv[1:])
        return await self.run_argv(argv, {**self.env(), **assigned})

    async def run_argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """One command by name, as if typed."""
        return await execute(self, argv, self.env() if env is None else env)


def _is_bare_exec(body: Any) -> bool:
    return isinstance(body, tree.Simple) and body.words == ((tree.Text("exec", quoted=False),),)


async def run(host: "Host", text: str, *, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run `text` as root with its output collected: (status, stdout, stderr). For tests and probes."""
    out, err = Collector(), Collector()
    shell = Shell(host, {0: Source(stdin), 1: out, 2: err}, env=host.environment())
    status = await shell.run(text)
    return status, bytes(out.data), bytes(err.data)
