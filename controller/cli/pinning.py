"""`cto node add`: pins a machine's SSH host key. Trust is the operator's act, never the first contact's."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, complete_nodes, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.loop import on_loop
from controller.cli.output import document
from controller.cli.text import clean
from inventory.errors import OperatorError, RefusedError
from inventory.reach import check_user, parse_jump, split_address

_LONGEST_NAME = 255  # bytes of a file's name; a key is longer or has a space in it


@verb(
    "add",
    example="cto node add berlin-cp-1 --address 10.0.0.11 --confirm-words\n"
    "cto node add berlin-cp-1 --address 10.0.0.11 --jump ops@gw.example --host-key 'ssh-ed25519 AAAA…'",
)
@click.argument("name", shell_complete=complete_nodes)
@click.option("--address", required=True, metavar="ADDR[:PORT]", help="Where its SSH server answers.")
@click.option("--jump", default="", metavar="USER@HOST[:PORT]", help="Reach it through this host.")
@click.option("--user", default="root", show_default=True, help="The account on the machine.")
@click.option(
    "--host-key", metavar="KEY", help="Its OpenSSH public host key, as text or the path of a .pub file."
)
@click.option("--confirm-words", is_flag=True, help="Fetch the key and compare six words with its screen.")
@click.option(
    "--words", metavar="WORDS", help="The words on its screen, for scripts; implies --confirm-words."
)
@click.option("--site", default="", help="Its site, if no site file names it yet.")
@click.option("--cluster", default="", help="Its cluster, if no site file names it yet.")
@click.option(
    "--role", default="", type=click.Choice(["", "controlplane", "worker", "appliance"]), help="Its role."
)
@click.option("--replace", is_flag=True, help="Replace a key that is pinned already.")
@pass_app
def add(
    app: App,
    /,
    *,
    name: str,
    address: str,
    jump: str,
    user: str,
    host_key: str | None,
    confirm_words: bool,
    words: str | None,
    site: str,
    cluster: str,
    role: str,
    replace: bool,
) -> None:
    """Pin a machine's SSH host key, so that it may be contacted. There is no trust on first use."""
    from inventory.words import key_words

    check_name(name)
    for text, noun in ((site, "site"), (cluster, "cluster")):
        if text:
            check_name(text, noun)
    host, port = split_address(address)
    where: dict[str, Any] = {"address": host, "port": port, "user": check_user(user), "jump": jump}
    if jump:
        parse_jump(jump)
    if (host_key is None) == (not confirm_words and words is None):
        raise OperatorError(
            "say how the machine's host key is known: exactly one of two ways",
            fix="--host-key KEY if you have the key, --confirm-words to compare six words with its screen",
        )
    with app.services() as services:
        line, reason = _given(host_key) if host_key is not None else _seen(services, name, where, words)
        place = {"site": site, "cluster": cluster, "role": role}
        services.store.pin(
            name, **where, host_key=line, **place, actor=app.actor(), reason=reason, replace=replace
        )
    if app.json:
        document({"node": name, "pinned": True, "host_key": line, "words": key_words(line), **where})
    else:
        click.echo(f"{clean(name)}: pinned. {key_words(line)}")


def _given(host_key: str) -> tuple[str, str]:
    """(the key, why it is trusted)."""
    from inventory.openssh import parse_public_key

    return parse_public_key(_key_text(host_key)).line, "host key given by the operator"


def _seen(services: Any, name: str, where: Mapping[str, Any], words: str | None) -> tuple[str, str]:
    """The key that answers there, once a person has found its words on the machine's screen."""
    from inventory.openssh import parse_public_key

    way = where["address"], where["port"], where["jump"]
    line = parse_public_key(on_loop(services, lambda: services.ssh.probe_host_key(*way))).line
    _compare(name, line, words)
    return line, "words on the console confirmed by the operator"


def check_name(name: str, noun: str = "node") -> None:
    """A node's name becomes its host name: an RFC 1123 label. So are the names of sites and clusters."""
    if not re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", name):
        fix = "use lower-case letters, digits and hyphens, at most 63, with a letter or digit at both ends"
        raise OperatorError(f"{clean(name)!r} can't be the name of a {noun}", fix=fix)


def _key_text(given: str) -> str:
    """The key itself, or what is in the file of that name."""
    if " " in given.strip() or len(given) > _LONGEST_NAME:
        return given
    named = "/" in given or given.endswith(".pub") or Path(given).is_file()
    return read_text(Path(given)).strip() if named else given


def _compare(name: str, line: str, words: str | None) -> None:
    """The operator confirms, or the run ends here. A key that was only fetched proves nothing."""
    from inventory.words import key_words, same_words

    shown = key_words(line)
    if words is not None:
        if not same_words(words, shown):
            raise RefusedError(
                f"the words differ: the key that answered gives {shown}",
                where=name,
                fix="if you typed them right, do not go on: another machine answers, or somebody is between",
            )
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            "somebody has to compare the words, and there is no terminal",
            where=name,
            fix='read them from the machine\'s screen and pass --words "…"',
        )
    click.echo(f"The key that answered gives these words:\n\n    {shown}\n", err=True)
    if not click.confirm(
        "Does the machine's own screen show the same, word for word?", default=False, err=True
    ):
        raise RefusedError(
            "not pinned: the words were not confirmed", where=name, fix="check the address and the cable"
        )
