"""`cto completion`: prints the script that a shell loads; names of nodes and sites come from the store."""

import click
from click.shell_completion import get_completion_class

from controller.cli.base import App, command, pass_app
from controller.cli.output import document
from inventory.errors import OperatorError


@command(
    "completion",
    example='eval "$(cto completion bash)"\ncto completion fish > ~/.config/fish/completions/cto.fish',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_app
def completion(app: App, shell: str) -> None:
    """Print shell completion for bash, zsh or fish."""
    from controller.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise OperatorError(f"no completion for {shell}", fix="use bash, zsh or fish")
    complete = found(cli, {}, "cto", "_CTO_COMPLETE")
    script = complete.source_template % complete.source_vars()
    if app.json:
        document({"shell": shell, "script": script})
    else:
        click.echo(script)
