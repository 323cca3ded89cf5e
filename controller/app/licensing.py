"""The licence in use: imported, shown, and asked before a new node gets anything put on it.

Asked at nothing else: nodes that hold something of ours keep their place whatever becomes of the licence.
"""

import base64
import binascii
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from controller.app.services import Services
from controller.core.license.document import License, key_id, read
from controller.core.license.rules import Allowance, Place, Standing, allowance, held_back
from controller.core.plan import Refusal
from inventory.errors import OperatorError
from inventory.fleet import Node
from inventory.lifecycle import NodeState

# Keys of this build's publisher, base64. A publisher puts at least two here: one to sign with, and one kept
# elsewhere for the day when the first is lost. This source tree has no publisher.
SHIPPED: tuple[str, ...] = ()
_KEY_BYTES = 32
_EXPIRY = "licence "  # under which its end is noted, and its id
_UNTOUCHED = (NodeState.DECLARED, NodeState.PINNED, NodeState.INSPECTED)


@dataclass(frozen=True, slots=True)
class Held:
    """The licence as it stands. `problem`: why an imported one can't be read any more."""

    license: License | None
    allowance: Allowance
    nodes: int  # that count
    clusters: int
    problem: str = ""


def keys(services: Services) -> dict[str, bytes]:
    shipped = [public_key(text) for text in SHIPPED]
    stored = {name: public_key(text) for name, text in services.store.license_keys().items()}
    return {**{key_id(key): key for key in shipped}, **stored}


def public_key(text: str) -> bytes:
    """Of the base64 text that `cto vendor license key` writes. Raises OperatorError."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise OperatorError(
            "this is not a publisher's key: one line of base64, 32 bytes", fix="name the .pub file"
        )
    return key


def import_license(services: Services, text: str, *, actor: str) -> License:
    """Verifies and keeps it. One that does not hold here and now is refused, and the old one stays."""
    made = read(text, keys(services))
    asked = allowance(made, safe_now(services), services.store.controller_id())
    if asked.standing in (Standing.FOREIGN, Standing.NOT_YET, Standing.EXPIRED):
        raise OperatorError(asked.note, fix="the licence that was there before, if any, still holds")
    services.store.put_license(text, name=made.id, actor=actor)
    for what in services.store.expiries(""):
        if what.startswith(_EXPIRY):
            services.store.forget_expiry("", what)
    services.store.note_expiries("", {f"{_EXPIRY}{made.id}": made.expires})
    return made


def held(services: Services) -> Held:
    text = services.store.license_text()
    counted = list(_counted(services))
    clusters = len({place.cluster for place in counted})
    made, problem = None, ""
    if text:
        try:
            made = read(text, keys(services))
        except OperatorError as error:
            problem = error.what
    asked = allowance(made, safe_now(services), services.store.controller_id())
    return Held(made, asked, len(counted), clusters, problem)


def without_place(services: Services, nodes: Iterable[Node]) -> dict[str, Refusal]:
    """Those of `nodes` (in the order of the files) that are new and find no room, each with the reason."""
    counted = list(_counted(services))
    known = {place.node for place in counted}
    new = [
        Place(node.name, node.cluster)
        for node in nodes
        if node.name not in known and not _is_lab(*_way(services, node))
    ]
    if not new:
        return {}
    asked = held(services).allowance
    kind = "without a licence" if asked.standing is Standing.COMMUNITY else "by the licence as it stands"
    fix = asked.note or "import a licence for more: cto license import FILE (cto license show: what counts)"
    reasons = held_back(asked.limits, counted, new)
    return {node: Refusal(f"no place for it {kind}: {reason}", fix) for node, reason in reasons.items()}


def safe_now(services: Services) -> datetime:
    """The clock, but never before what was recorded: setting it back makes no licence younger."""
    now, (floor, _) = services.clock.now(), services.store.time_state()
    return max(now, datetime.fromisoformat(floor)) if floor else now


def _counted(services: Services) -> Iterable[Place]:
    """One that was given up keeps its place as long as the files name it: it may be installed again."""
    for row in services.store.nodes():
        gone = row.state == NodeState.RESET and not row.declared
        if row.state not in _UNTOUCHED and not gone and not _is_lab(row.address, row.jump):
            yield Place(row.name, row.cluster)


def _way(services: Services, node: Node) -> tuple[str, str]:
    row = services.store.node(node.name)
    return (row.address, row.jump) if row and row.address else (node.address, node.jump)


def _is_lab(address: str, jump: str) -> bool:
    """Simulated machines cost nothing. They are known by living on this computer's loopback addresses."""
    try:
        return not jump and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
