"""Several nodes at once: for those that were ticked in the list, one command for each act. Orders nothing.

What happens to machines needs their site files, which lie where `cto` runs: so it is a command to copy.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError
from web import bulk, present
from web.access.grants import Level
from web.access.guard import need
from web.ports import NodeView, Queries


@dataclass(frozen=True, slots=True)
class Act:
    title: str
    command: str
    grave: bool = False  # what is on the machines is lost


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("chosen", __name__)

    @blueprint.get("/chosen")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        names = list(dict.fromkeys(request.args.getlist("node")))
        if len(names) > bulk.MOST:
            raise OperatorError(f"{len(names)} are too many at once", fix=f"choose at most {bulk.MOST}")
        nodes, now = [queries.node(name) for name in names], clock()
        shown = [(node, present.node_badge(node, now)) for node in nodes]
        return render_template("chosen.html", nodes=shown, acts=acts(nodes) if nodes else [])

    return blueprint


def acts(nodes: Sequence[NodeView]) -> list[Act]:
    """What the program can do to all of them."""
    names = [node.name for node in nodes]
    those = " ".join(f"--node {shlex.quote(name)}" for name in names)
    forget = bulk.command("cto enroll forget", names, ' --reason "…"')
    return [
        Act("Look at them afresh", f"cto facts gather {those}"),
        Act("See what would be done to them", f"cto plan -f site.yaml {those}"),
        Act("Make them what the site files say", f"cto apply -f site.yaml {those}"),
        Act("Let their machines come with new keys, once, within a day", forget),
        Act(
            "Take them out of service: what is on them is lost", f"cto node reset -f site.yaml {those}", True
        ),
    ]
