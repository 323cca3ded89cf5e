"""The commands that pages offer to copy are commands of this program, with options that it takes."""

import re
import shlex

import click
import pytest

from controller.cli.main import cli
from tests.unit.web.every_page import pages
from tests.unit.web.test_pages import tags

LOOP = re.compile(r"for each in (\S+).*; do (cto .*); done")


def parsed(line):
    """Follows the words down the tree and lets click look at the options; runs nothing."""
    words = shlex.split(line)
    assert words[0] == "cto", line
    context, command, words = click.Context(cli), cli, words[1:]
    while isinstance(command, click.Group):
        name, words = words[0], words[1:]
        found = command.get_command(context, name)
        assert found is not None, line
        context, command = click.Context(found, parent=context), found
    if "--help" not in words:
        command.make_context(command.name, words, parent=context.parent, resilient_parsing=False)
    return command


@pytest.fixture
def switched(full, opened):
    """A freeze and an override, beside which their commands stand."""
    from datetime import timedelta

    from controller.app.windows import freeze, request_override

    with opened() as services:
        freeze(services, reason="audit week", actor="user:anna", site="berlin")
        length = timedelta(hours=1)
        request_override(
            services, site="berlin", reason="a failing disk", length=length, actor="user:otto", people=3
        )


def test_each_of_them_is_understood(app, client, switched):
    seen = set()
    for path in pages(app):
        for _, attributes in tags(client.get(path).text):
            if "data-copy" in attributes:
                line = attributes["data-copy"]
                loop = LOOP.fullmatch(line)
                seen.add(loop[2].replace('"$each"', loop[1]) if loop else line)
    assert len(seen) > 40
    for line in sorted(seen):
        parsed(line)


@pytest.mark.parametrize("line", ["cto nothing", "cto node nothing", "cto node list --nothing"])
def test_one_that_is_none_would_be_noticed(line):
    with pytest.raises((AssertionError, click.UsageError)):
        parsed(line)


def test_beside_each_switch_stands_its_command(client, switched):
    page = client.get("/calendar").text
    for start in (
        "unfreeze --site berlin",
        "approve ",
        "cancel ",
        "override --site NAME",
        "freeze --site NAME",
    ):
        assert f"cto window {start}" in page, start
