"""Progress of files that come or go: a bar on a terminal, a line a file elsewhere, silent for programs."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from controller.cli.output import human_bytes
from controller.cli.text import clean

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Transfers:
    """`update` may be called as often as bytes come in."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: dict[str, TaskID] = {}
        self._rich: Progress | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._rich = Progress(*columns, console=Console(stderr=True))
            self._rich.start()
        return self

    def update(self, name: str, done: int, total: int) -> None:
        if self._rich is not None:
            if name not in self._bars:
                self._bars[name] = self._rich.add_task(clean(name), total=total or None)
            self._rich.update(self._bars[name], completed=done, total=total or None)
        elif done == total and not self._quiet:
            click.echo(f"{clean(name)}: {human_bytes(total)}", err=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
