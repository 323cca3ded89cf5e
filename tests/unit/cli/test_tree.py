"""The command tree: its table, its help, its start-up."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from controller.cli.base import App, Command
from controller.cli.main import TREE, cli
from controller.cli.reference import leaves

DOCS = Path(__file__).parents[3] / "docs" / "commands.md"


def every_command():
    """(path, command) of every leaf."""
    context = click.Context(cli, info_name="cto", obj=App())
    for name in cli.list_commands(context):
        for path, leaf, _ in leaves(name, cli.get_command(context, name), context):
            yield path, leaf


LEAVES = dict(every_command())


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_output_help_and_an_example_that_names_it(path):
    leaf = LEAVES[path]
    assert isinstance(leaf, Command)
    assert "--output" in [option for parameter in leaf.params for option in parameter.opts]
    assert leaf.help
    assert f"cto {path}" in leaf.example
    assert all(getattr(option, "help", "") for option in leaf.params if isinstance(option, click.Option))


@pytest.mark.parametrize("path", LEAVES)
def test_every_example_can_be_parsed(path):
    """The words of each example fit the command's own parameters."""
    import shlex

    leaf = LEAVES[path]
    for line in leaf.example.splitlines():
        if not line.startswith(f"cto {path}"):
            continue  # such as export KUBECONFIG="$(cto …)"
        words = shlex.split(line.split(" > ")[0])[1 + len(path.split()) :]
        context = click.Context(leaf, info_name=path, obj=App(), resilient_parsing=True)
        leaf.parse_args(context, words)


@pytest.mark.parametrize("name", [name for section in TREE.values() for name in section])
def test_the_table_names_what_is_there(name):
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    assert found.name == name


def test_help_shows_every_command_once(cto):
    ran = cto("--help")
    assert ran.code == 0
    for section in TREE.values():
        for name in section:
            assert len(re.findall(rf"^  {name}  +", ran.out, re.MULTILINE)) == 1


def test_no_argument_is_help_and_not_an_error(cto):
    assert cto().code == 0
    assert "Every day" in cto().out


def test_a_typing_error_gets_a_suggestion(cto):
    ran = cto("statsu")
    assert ran.code == 2
    assert "did you mean 'status'" in ran.err


def test_help_loads_none_of_the_heavy_libraries():
    heavy = [
        "asyncssh",
        "pydantic",
        "kubernetes",
        "rich",
        "sqlite_utils",
        "grpclib",
        "zeroconf",
        "flask",
        "yaml",
    ]
    code = (
        "import sys; from controller.cli.base import App; from controller.cli.main import run;"
        f"run(sys.argv[1:], App()); print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    for argv in (["--help"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *argv],
            capture_output=True,
            text=True,
            check=True,
            env={"CTO_HOME": "/nonexistent"},
        )
        assert done.stderr.strip() == "[]", argv


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cto, shell):
    ran = cto("completion", shell)
    assert ran.code == 0
    assert "_CTO_COMPLETE" in ran.out


def complete(home, words):
    """What the shell would offer after `words`."""
    env = {
        "_CTO_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "CTO_HOME": str(home),
    }
    code = "from controller.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completion_knows_commands_and_nodes(home, fleet):
    assert "status" in complete(home, ["cto", "st"])
    assert complete(home, ["cto", "node", "show", "berlin-"]) == ["berlin-cp-1", "berlin-w-1"]
    assert complete(home, ["cto", "apply", "--site", "p"]) == ["porto"]


def test_completion_without_a_store_is_empty_and_quiet(home):
    assert not any(complete(home, ["cto", "node", "show", "x"]))


def test_the_reference_is_current():
    from controller.cli.reference import markdown

    assert DOCS.read_text() == markdown(), "run: python -m controller.cli.reference > docs/commands.md"
    for path in LEAVES:
        assert f"`cto {path}" in DOCS.read_text()
