"""`--output` of commands that make a file: `text` or `json` say how to tell, anything else is its place.

Everywhere else `--output` has only the first meaning.
"""

from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Command

FORMATS = ("text", "json")


def _sort(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> Path | None:
    app = ctx.find_object(App)
    formats = [value for value in values if value in FORMATS]
    places = [value for value in values if value not in FORMATS]
    if app is not None and formats:
        app.output = formats[-1]
    if len(places) > 1:
        raise click.BadParameter(f"two files are named: {' and '.join(places)}")
    if places and Path(places[0]).is_dir():
        raise click.BadParameter(f"{places[0]} is a folder; name the file in it")
    return Path(places[0]) if places else None


class FileCommand(Command):
    """A command whose `--output FILE` names the file that it makes; said again, it may be a format."""

    def __init__(self, *args: Any, made: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [param for param in self.params if param.name != "output"]
        option = click.Option(
            ["-o", "--output", "--out", "output"],
            multiple=True,
            metavar="FILE",
            is_eager=True,
            callback=_sort,
            help=f"{made} Or text or json: how to tell it; give both by saying it twice.",
        )
        self.params.append(option)
