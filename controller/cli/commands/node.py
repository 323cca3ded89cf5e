"""`cto node`: add (pin a host key), confirm, list, show, reset. Trust is the operator's act, not ours."""

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from controller.cli.base import (
    App,
    Noun,
    assume_yes,
    complete_nodes,
    confirm,
    default_files,
    pass_app,
    read_texts,
    selection,
    selectors,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.commands.apply import watch
from controller.cli.commands.status import known
from controller.cli.loop import on_loop
from controller.cli.maintenance import confirm_key
from controller.cli.output import document, plain, table
from controller.cli.picking import pick
from controller.cli.text import clean, clean_block
from inventory.errors import OperatorError, RefusedError
from web import fleet, present


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
    from inventory.openssh import parse_public_key
    from inventory.words import key_words

    check_name(name)
    host, port = split_address(address)
    by_words = confirm_words or words is not None
    if (host_key is None) == (not by_words):
        raise OperatorError(
            "say how the machine's host key is known: exactly one of two ways",
            fix="--host-key KEY if you have the key, --confirm-words to compare six words with its screen",
        )
    with app.services() as services:
        if host_key is not None:
            line, reason = parse_public_key(_key_text(host_key)).line, "host key given by the operator"
        else:
            seen = on_loop(services, lambda: services.ssh.probe_host_key(host, port, jump))
            line = parse_public_key(seen).line
            _compare(name, line, words)
            reason = "words on the console confirmed by the operator"
        where: dict[str, Any] = {"address": host, "port": port, "user": user, "jump": jump}
        place = {"site": site, "cluster": cluster, "role": role}
        services.store.pin(
            name, **where, host_key=line, **place, actor=app.actor(), reason=reason, replace=replace
        )
    if app.json:
        document({"node": name, "pinned": True, "host_key": line, "words": key_words(line), **where})
    else:
        click.echo(f"{clean(name)}: pinned. {key_words(line)}")


def check_name(name: str) -> None:
    """A node's name becomes its host name: an RFC 1123 label."""
    if not re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", name):
        fix = "use lower-case letters, digits and hyphens, at most 63, with a letter or digit at both ends"
        raise OperatorError(f"{clean(name)!r} can't be the name of a node", fix=fix)


def split_address(text: str) -> tuple[str, int]:
    """Host and port of "10.0.0.1", "10.0.0.1:2222", "[fd00::1]:22", "fd00::1"."""
    host, sign, port = text.rpartition(":")
    if not sign or (":" in host and not host.endswith("]")):
        host, port = text, "22"
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise OperatorError(f"{text!r} is not an address", fix="write HOST, HOST:PORT or [IPV6]:PORT")
    return host, int(port)


def _key_text(given: str) -> str:
    path = Path(given)
    if " " not in given and path.is_file():
        return path.read_text(encoding="utf-8", errors="replace")[:16_384].strip()
    return given


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


@verb("list", example="cto node list --site berlin --output json")
@selectors
@pass_app
def list_(app: App, /, **chosen: tuple[str, ...]) -> None:
    """List the nodes that are known."""
    now = app.now()
    with app.services() as services:
        nodes = pick(services.queries.nodes(), **chosen)
    if app.json:
        document([fleet.node_dict(node, now) for node in nodes])
        return
    rows = []
    for node in nodes:
        badge = present.node_badge(node, now)
        state = (f"{badge.symbol} {badge.label}", badge.tone)
        rows.append(
            (node.name, node.site, node.cluster, node.role, state, node.address, known(node.seen_at, now))
        )
    table(("NODE", "SITE", "CLUSTER", "ROLE", "STATE", "ADDRESS", "KNOWN"), rows)


@verb("show", example="cto node show berlin-cp-1")
@click.argument("name", shell_complete=complete_nodes)
@click.option(
    "--events", "limit", type=click.IntRange(0, 500), default=10, show_default=True, help="How many events."
)
@pass_app
def show(app: App, name: str, limit: int) -> None:
    """What is known of a node, since when, and what changed."""
    now = app.now()
    with app.services() as services:
        queries = services.queries
        node = queries.node(name)
        taken = [dict(entry) for entry in queries.facts(name, 2)]
        happened = fleet.latest_events(queries, limit, f"node/{name}") if limit else []
    changes = _changes(taken)
    if app.json:
        document(
            fleet.node_dict(node, now)
            | {"facts": taken[:1], "changes": changes, "events": [plain(event) for event in happened]}
        )
        return
    badge = present.node_badge(node, now)
    click.echo(f"{click.style(clean(node.name), bold=True)}  {badge.symbol} {clean(badge.label)}")
    if node.problem:
        click.echo(clean_block(f"  {node.problem}"))
    for label, value in (
        ("site", node.site),
        ("cluster", node.cluster),
        ("role", node.role),
        ("address", node.address),
        ("host key", node.host_key_words or "not pinned"),
        ("talos", node.talos),
        ("profile", node.profile),
        ("known", present.age(node.seen_at, now) + (", old" if present.is_stale(node.seen_at, now) else "")),
        ("state since", present.age(node.changed_at, now)),
        ("facts taken", present.age(str(taken[0].get("taken_at", "")), now) if taken else "never"),
    ):
        click.echo(f"  {label:<12} {clean(value) or '-'}")
    _record(node.record)
    _show_changes(changes, taken, now)
    if happened:
        click.echo("\n  Events")
        for event in happened:
            click.echo(
                f"    {present.age(event.at, now):>12}  {clean(event.kind, 40)}: {clean(event.message)}"
            )


def _record(record: Mapping[str, Any]) -> None:
    """What earlier steps wrote down, digests cut to what one can compare by eye."""
    lines = [(key, value) for key, value in sorted(record.items()) if not isinstance(value, Mapping)]
    for key, inner in sorted(record.items()):
        if isinstance(inner, Mapping):
            lines += [(f"{key}.{name}", value) for name, value in sorted(inner.items())]
    if lines:
        click.echo("\n  Recorded")
    for key, value in lines:
        click.echo(f"    {clean(key, 40):<22} {_short(value)}")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text[:12] + "…" if re.fullmatch(r"[0-9a-f]{40,}", text) else clean(text, 120) or "-"


def _changes(taken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(taken) < 2:
        return []
    from controller.cli.commands.facts import changes_between

    return changes_between(taken[1], taken[0])


def _show_changes(changes: list[dict[str, Any]], taken: list[dict[str, Any]], now: Any) -> None:
    if not changes:
        return
    click.echo(f"\n  Changed since {present.age(str(taken[1].get('taken_at', '')), now)}")
    for change in changes:
        click.echo(
            f"    {clean(change['path'])}: {clean(change['before'], 60)} → {clean(change['after'], 60)}"
        )


@verb("reset", example="cto node reset --node berlin-w-1 -f site.yaml")
@site_files
@selectors
@assume_yes
@pass_app
def reset(app: App, /, files: tuple[Path, ...], yes: bool, **chosen: tuple[str, ...]) -> int:
    """Decommission nodes: leave etcd, wipe, boot our image again. Shows first what is destroyed."""
    from controller.app.apply import submit
    from controller.app.reset import describe_reset
    from inventory.resolve import load_files

    picked = selection(**chosen)
    if picked.everything:
        raise OperatorError("say which nodes", fix="name them with --node NAME, or --cluster or --site")
    texts = read_texts(files or default_files(app))
    nodes = picked.pick(load_files(texts).fleet)
    with app.services() as services:
        lost = describe_reset(services, nodes)
        if not app.json:
            click.echo("This destroys:")
            for line in lost:
                click.echo(clean_block(f"  {line}"))
        confirm(f"Wipe {len(nodes)} node(s)?", yes=yes)
        run_id = submit(services, texts, picked, actor=app.actor(), kind="reset")
        return watch(app, services, run_id, [node.name for node in nodes], time.monotonic())


node = Noun("node", help="Add, confirm, list, show or reset nodes.").add(add, confirm_key, list_, show, reset)
