"""What every command shares: the `App` it runs in, `--output`, selectors, site files, confirmation.

Holds no command and prints nothing but questions. Builds nothing either: services come from
`controller.wiring`, or from the `open_services` a test hands in.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inventory.errors import OperatorError, RefusedError

if TYPE_CHECKING:
    from inventory.resolve import Resolved
    from inventory.selectors import Selection

_MAX_TEXT = 64 * 1024**2  # bytes of one file; a thousand sites are a fraction of it
SIGPIPE_STATUS = 141  # what a shell shows for a program whose reader went away
F = TypeVar("F", bound=Callable[..., Any])


def _wired(home: Path | None) -> AbstractContextManager[Any]:
    from controller.wiring import open_services

    return open_services(home)


@dataclass(slots=True)
class App:
    """One invocation of the program."""

    home: Path | None = None  # None: $CTO_HOME or the platform's data directory
    output: str = "text"
    server: str = ""  # another controller, whose fleet this is about
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    open_services: Callable[[Path | None], AbstractContextManager[Any]] = _wired
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def json(self) -> bool:
        return self.output == "json"

    def services(self) -> AbstractContextManager[Any]:
        return self.open_services(self.home)

    def actor(self) -> str:
        """Who the audit log names: the local account."""
        return f"local:{self.environ.get('USER') or self.environ.get('LOGNAME') or os.getuid()}"


pass_app = click.make_pass_decorator(App, ensure=True)


def _set_output(ctx: click.Context, _param: click.Parameter, value: str) -> None:
    app = ctx.find_object(App)
    if app is not None:
        app.output = value


class Command(click.Command):
    """A command that has `--output` and shows an example in its help."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        option = click.Option(
            ["--output"],
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            expose_value=False,
            is_eager=True,
            callback=_set_output,
            help="json: one document, or one per line for streams.",
        )
        self.params.append(option)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        app = ctx.find_object(App)
        if app is not None and app.server and not {"-h", "--help"} & set(args):
            from controller.cli.remote import must_work_from_afar

            must_work_from_afar(ctx.command_path.partition(" ")[2])
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def command(name: str, *, example: str, **kwargs: Any) -> Callable[[Callable[..., Any]], Command]:
    """Declares a command; `example` is what a user could type as it stands."""
    return click.command(name, cls=Command, example=example, **kwargs)


class Noun(click.Group):
    """A group such as `cto node`; its verbs are `Command`s."""

    def add(self, *verbs: click.Command) -> "Noun":
        for verb in verbs:
            self.add_command(verb)
        return self


def complete_from(pick: Callable[[Any], Sequence[str]]) -> Callable[..., list[str]]:
    """Shell completion from the store. No store, no completion: never an error in the middle of typing."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        app = ctx.find_object(App) or App()
        try:
            with app.services() as services:
                names = pick(services.queries)
        except Exception:  # noqa: BLE001 - a traceback in the prompt helps nobody; `cto doctor` tells
            return []
        return sorted(name for name in names if name.startswith(incomplete))

    return complete


complete_nodes = complete_from(lambda queries: [node.name for node in queries.nodes()])
complete_sites = complete_from(lambda queries: [site.name for site in queries.sites()])
complete_clusters = complete_from(lambda queries: [cluster.name for cluster in queries.clusters()])


def selectors(function: F) -> F:
    """Adds --site --cluster --node -l; each may be repeated."""
    many: dict[str, Any] = {"multiple": True, "metavar": "NAME"}
    for decorate in (
        click.option("-l", "labels", multiple=True, metavar="KEY=VALUE", help="Only nodes with this label."),
        click.option("--node", "nodes", help="Only this node.", shell_complete=complete_nodes, **many),
        click.option(
            "--cluster", "clusters", help="Only this cluster.", shell_complete=complete_clusters, **many
        ),
        click.option("--site", "sites", help="Only this site.", shell_complete=complete_sites, **many),
    ):
        function = decorate(function)
    return function


def site_files(function: F) -> F:
    """Adds -f/--file."""
    return click.option(
        "-f",
        "--file",
        "files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Site file or directory; may be repeated. Default: $CTO_SITE, or ./site.yaml and ./fleet/.",
    )(function)


def assume_yes(function: F) -> F:
    """Adds --yes to a command that changes or destroys something."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def until_prepared(function: F) -> F:
    """Adds --until."""
    return click.option(
        "--until",
        type=click.Choice(["prepared"]),
        help="Stop there: checked, disk cleared, settings made; nothing installed, no cluster touched.",
    )(function)


def confirm(question: str, *, yes: bool) -> None:
    """Asks before something is changed. Without a terminal there is nobody to ask: that is a refusal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError("this needs a yes, and there is no terminal to ask", fix="run it again with --yes")
    if not click.confirm(question, default=False, err=True):
        raise RefusedError("stopped: nothing was changed", fix="run it again and answer yes to go on")


def selection(
    sites: Sequence[str], clusters: Sequence[str], nodes: Sequence[str], labels: Sequence[str]
) -> "Selection":
    from inventory.selectors import Selection

    return Selection.parse(sites=sites, clusters=clusters, nodes=nodes, labels=labels)


def load_site_files(app: App, files: Sequence[Path]) -> "Resolved":
    """Reads and resolves the site files; problems come back all at once as SiteFileError."""
    from inventory.resolve import load_files

    return load_files(read_texts(files or default_files(app)))


def default_files(app: App) -> list[Path]:
    """$CTO_SITE (paths joined by ':'), else what lies in the current directory."""
    named = app.environ.get("CTO_SITE", "")
    if named:
        return [Path(part) for part in named.split(os.pathsep) if part]
    found = [path for path in (Path("site.yaml"), Path("fleet")) if path.exists()]
    if not found:
        raise OperatorError(
            "no site file: there is no ./site.yaml and no ./fleet/ here",
            fix="name one with -f FILE, set CTO_SITE, or start from a file in examples/",
        )
    return found


def read_texts(paths: Sequence[Path]) -> dict[str, str]:
    """File name → text, in the order given; a directory stands for its *.yaml and *.yml files, sorted."""
    texts: dict[str, str] = {}
    for path in paths:
        for file in _yaml_files(path):
            texts[str(file)] = read_text(file)
    return texts


def _yaml_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in {".yaml", ".yml"} and file.is_file())
    if not found:
        raise OperatorError("no *.yaml file in this directory", where=str(path), fix="name another with -f")
    return found


def read_text(file: Path) -> str:
    """A file of ours or of the operator's; problems come back as theirs to mend."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_TEXT + 1)  # of a device there may be no end
        if len(data) > _MAX_TEXT:
            what = f"larger than {_MAX_TEXT // 1024**2} MiB"
            raise OperatorError(what, where=str(file), fix="name a file that a person wrote, or split it")
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"not UTF-8 text (byte {error.start})"
        raise OperatorError(what, where=str(file), fix="save the file as UTF-8") from error
    except OSError as error:
        what = f"can't be read: {error.strerror or error}"
        raise OperatorError(what, where=str(file), fix="check the path and its permissions") from error
