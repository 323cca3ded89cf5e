"""Prints docs/commands.md, made from the commands themselves. Run it with `-m` and redirect it there.

A test holds the file to what this prints, so the reference can't drift.
"""

from collections.abc import Iterator

import click

from controller.cli.base import App, Command
from controller.cli.main import TREE, cli

HEAD = """# Commands

<!-- Made by `python -m controller.cli.reference > docs/commands.md`; a test keeps it current. -->

Every command has `--help` with an example, and `--output json`: one document on standard output, or one
per line for what goes on (`events`, `discover`, `facts gather`, the progress of `apply`). Messages and
questions go to standard error; with `--output json` an error is a JSON document there, with a stable `slug`.

| exit code | means |
|--:|---|
| 0 | done, or nothing to do |
| 1 | a bug of ours; the message names a log file |
| 2 | wrong input, or refused; the message says what to change |
| 3 | busy: another engine is at work; the message names its process |
| 4 | a node or the network failed |
| 5 | partly done |
| 130 | stopped by Ctrl-C; nothing is lost |

Site files are named with `-f`; else `$CTO_SITE`, else `./site.yaml` and `./fleet/`. What the program keeps
is in `$CTO_HOME` (or `cto --home DIR COMMAND`). Selectors narrow each other; values of one kind are
alternatives: `--site a --site b --node n` is node n at site a or b.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections()]).rstrip() + "\n"


def _sections() -> Iterator[str]:
    for title, section in TREE.items():
        yield f"## {title}\n"
        for name in section:
            root = click.Context(cli, info_name="cto", obj=App())
            found = cli.get_command(root, name)
            if found is not None:
                for path, leaf, context in leaves(name, found, root):
                    yield _entry(path, leaf, context)


def leaves(
    path: str, found: click.Command, parent: click.Context
) -> Iterator[tuple[str, Command, click.Context]]:
    """Each command below `found`, however deep: `vendor release add` is the third level."""
    context = click.Context(found, info_name=path.rpartition(" ")[2], parent=parent)
    if isinstance(found, click.Group):
        for verb in found.list_commands(context):
            inner = found.get_command(context, verb)
            if inner is not None:
                yield from leaves(f"{path} {verb}", inner, context)
    elif isinstance(found, Command):
        yield path, found, context


def _entry(path: str, leaf: Command, context: click.Context) -> str:
    usage = " ".join(piece for piece in leaf.collect_usage_pieces(context) if piece != "[OPTIONS]")
    lines = [f"### `cto {path}{' ' + usage if usage else ''}`", "", _text(leaf), ""]
    rows = [record for option in leaf.params if (record := option.get_help_record(context)) is not None]
    shown = [(names, text) for names, text in rows if not names.startswith(("--output", "-h, --help"))]
    if shown:
        lines += ["| option | |", "|---|---|"]
        lines += [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in shown]
        lines.append("")
    return "\n".join([*lines, "```sh hardware", *leaf.example.splitlines(), "```", ""])


def _text(leaf: Command) -> str:
    paragraphs = (leaf.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    click.echo(markdown(), nl=False)
