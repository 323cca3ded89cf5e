"""The `cto` program: the command tree and nothing else. Command modules are imported when they run.

So that `cto --help` starts fast, the tree is a table of names, modules and one-line helps; a test
keeps the table and the commands the same.
"""

import itertools
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from controller.cli.base import App

_COMMANDS = "controller.cli.commands"

# Section → command → one line. Daily verbs first, then nouns, then looking after it all.
# Command X is the attribute X of the module controller.cli.commands.X.
TREE: dict[str, dict[str, str]] = {
    "Every day": {
        "validate": "Check site files; every problem with file, line and fix.",
        "plan": "Show what apply would do, and why, without doing it.",
        "apply": "Make it so; run again to go on after anything.",
        "status": "The fleet at a glance, and what needs you.",
        "events": "What happened, and what happens now.",
        "discover": "Machines that announce themselves on the local network.",
        "serve": "Run the controller and its web page on this computer.",
    },
    "Things": {
        "node": "Add, confirm, list, show, replace, remove or reset nodes.",
        "window": "Maintenance windows: preview, freeze, override.",
        "rollout": "Update clusters in waves: plan, start, pause, roll back.",
        "cluster": "Show clusters; fetch kubeconfig and talosconfig.",
        "etcd": "etcd snapshots: take, list, verify, write out.",
        "secrets": "Make, import and export a cluster's secrets.",
        "machineconfig": "A node's machine configuration: print it, look one over.",
        "notify": "Tell people what happens: e-mail, webhook.",
        "update": "Releases: trust a publisher, look, put ready.",
        "bundle": "Carry releases to where no network is.",
        "user": "Accounts of the pages and the API: add, list, grant, revoke.",
        "apitoken": "Tokens for programs: create, list, revoke.",
        "enroll": "Let machines join: open, list, approve, reject.",
        "token": "Enrolment tokens: create, list, revoke.",
        "facts": "Gather, show and compare what machines are.",
        "iso": "The image that machines are started with.",
        "setup": "Set up the machine that this runs on.",
        "hardware": "Hardware profiles, and which one fits.",
    },
    "Site files": {
        "render": "The effective fleet, and which layer set a value.",
        "schema": "JSON Schema of site files, for editors.",
    },
    "Try it": {
        "demo": "Two simulated sites become two clusters in front of you.",
        "lab": "Simulated machines to practise on.",
    },
    "Looking after it": {
        "doctor": "Check this computer; a fix for each finding.",
        "store": "Back up and restore the fleet store.",
        "license": "The licence: import it, see what it allows.",
        "key": "The key that opens the store's secrets; the SSH key machines let in.",
        "audit": "Read, take away and verify the audit log.",
        "support": "A redacted bundle for a support request.",
        "completion": "Shell completion for bash, zsh and fish.",
    },
    "For publishers": {
        "vendor": "Make keys, issue licences, publish releases.",
    },
}


class Tree(click.Group):
    """The root group, lazy."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for section in TREE.values() for name in section]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in TREE.values():
            if cmd_name in section:
                found: click.Command = getattr(import_module(f"{_COMMANDS}.{cmd_name}"), cmd_name)
                return found
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.list_commands(ctx):
            from difflib import get_close_matches

            close = get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        for title, section in TREE.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in section.items()])


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"cto {version('platform-in-a-box')}")
        ctx.exit()


@click.group(
    cls=Tree,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First steps: cto demo · cto doctor · cto COMMAND --help",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the fleet is kept. Default: $CTO_HOME, or the platform's data directory.",
)
@click.option(
    "--server",
    envvar="CTO_SERVER",
    default="",
    metavar="URL",
    help="Read another controller's fleet, with the token in $CTO_TOKEN.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def cli(ctx: click.Context, home: Path | None, server: str) -> None:
    """From bare machines at many sites to running Talos Kubernetes clusters, from this computer.

    Exit codes: 0 done or nothing to do, 1 our bug, 2 wrong input, 3 busy, 4 a node or the network
    failed, 5 partly done, 130 cancelled.
    """
    app = ctx.ensure_object(App)
    if home is not None:
        app.home = home
    if server:
        from controller.cli.remote import opener

        app.server, app.open_services = server, opener(server, app.environ, app.now)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand != "doctor":  # doctor reports it as one finding among others
        from controller.cli.names import check_at_start

        check_at_start(app)


def run(argv: Sequence[str], app: App) -> int:
    """Runs one command line and returns the exit code. Never raises."""
    if "--output=json" in argv or ("--output", "json") in itertools.pairwise(argv):
        app.output = "json"  # also for what goes wrong before it is parsed
    try:
        # Not cli.main(): that ends the process itself when the reader of a pipe goes away.
        with cli.make_context("cto", list(argv), obj=app) as context:
            result = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where errors become messages
        from controller.cli.errors import report

        return report(error, app)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of `cto`."""
    if "_CTO_COMPLETE" in os.environ:  # a shell asks what could come next
        cli.main(prog_name="cto", obj=App())
    if sys.stdout is None:  # started with it closed: what would be printed goes nowhere
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - as above
    sys.exit(run(sys.argv[1:], App()))
