"""Approve, reject, forget: an operator's act, or that of a rule for hardware that was registered beforehand.

Approving binds the machine to a node and pins its SSH host key; `cto apply` needs nothing more to install it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.app.services import Services
from controller.core.enrollment.binding import Bound, Place, bind
from controller.store import NodeRow
from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import NodeState
from inventory.words import same_words
from web.ports import EnrollmentView

ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Approved:
    enrollment: EnrollmentView
    node: str
    address: str
    port: int
    why: str


def find(services: Services, text: str) -> EnrollmentView:
    """By its id, or by the words on the machine's console."""
    rows = services.store.enrollments()
    by_id = [row for row in rows if row.id == text.strip().lower()]
    by_words = [row for row in rows if row.state == "pending" and same_words(text, row.words)]
    if len(by_id or by_words) == 1:
        return (by_id or by_words)[0]
    raise OperatorError(
        "no machine that waits has this id or these words",
        fix="see `cto enroll list`; if the words on a console are not in it, another controller answered it",
    )


def binding(services: Services, row: EnrollmentView, name: str = "") -> Bound:
    """Which node it would become. Raises what `bind` raises."""
    places = list(_places(services, row.site))
    named = services.store.node(name) if name else None
    if named is not None and named.declared and named.site != row.site:
        places.append(Place(named.name, named.site, named.role, named.state, {}))
    return bind(row.hardware, site=row.site, role=row.role, places=places, name=name)


def bindings(services: Services, ids: Sequence[str]) -> Mapping[str, Bound | OperatorError]:
    """The same for many at once: each site is read once. Those that are not known are left out."""
    places: dict[str, Sequence[Place]] = {}
    found: dict[str, Bound | OperatorError] = {}
    for row in services.store.enrollments():
        if row.id not in ids:
            continue
        if row.site not in places:
            places[row.site] = _places(services, row.site)
        try:
            found[row.id] = bind(row.hardware, site=row.site, role=row.role, places=places[row.site])
        except OperatorError as error:
            found[row.id] = error
    return found


def approve(
    services: Services,
    enrollment: str,
    *,
    actor: str,
    name: str = "",
    address: str = "",
    port: int = 0,
    accept_conflict: bool = False,
    reason: str = "words compared",
) -> Approved:
    """`reason`: how the operator knows the machine. A flagged one needs `accept_conflict` besides."""
    row = _known(services, enrollment)
    if row.conflict and row.state == "pending" and not accept_conflict:
        raise RefusedError(
            f"enrolment {row.id} is in conflict: {row.conflict}",
            fix="look at the machines; if this is the right one all the same, say --accept-conflict",
        )
    bound = binding(services, row, name)
    return _approve(services, row, bound, actor=actor, address=address, port=port, reason=reason)


def by_registration(services: Services, enrollment: str) -> bool:
    """Approves without an operator where hardware and a one-use token were both named beforehand."""
    row = _known(services, enrollment)
    if row.conflict or row.state != "pending" or services.store.token(row.token).granted != 1:
        return False
    try:
        bound = binding(services, row)
        node = services.store.node(bound.node)
        if not bound.registered or node is None or node.state is not NodeState.DECLARED:
            return False
        reason = f"registered beforehand: {bound.why}"
        _approve(services, row, bound, actor=ENGINE, address="", port=0, reason=reason)
    except OperatorError:
        return False  # an operator will see why when they approve it
    return True


def reject(
    services: Services, enrollment: str, *, actor: str, reason: str, again: bool = False
) -> EnrollmentView:
    return services.store.reject_enrollment(enrollment, actor=actor, reason=reason, again=again)


def _approve(
    services: Services, row: EnrollmentView, bound: Bound, *, actor: str, address: str, port: int, reason: str
) -> Approved:
    known = services.store.node(bound.node)
    way = _way(known, row, address, port)
    services.store.approve_enrollment(
        row.id,
        node=bound.node,
        address=way[0],
        port=way[1],
        user=known.ssh_user if known else "root",
        jump=known.jump if known else "",
        actor=actor,
        reason=f"{reason}; {bound.why}" if bound.why not in reason else reason,
    )
    return Approved(row, bound.node, *way, bound.why)


def _way(known: NodeRow | None, row: EnrollmentView, address: str, port: int) -> tuple[str, int]:
    """As the operator says, else as the site file does, else where the machine asked from."""
    if address:
        return address, port or row.ssh_port
    if known is not None and known.address and known.declared:
        return known.address, known.ssh_port
    return row.address, row.ssh_port


def _places(services: Services, site: str) -> Sequence[Place]:
    expected = services.store.expected_hardware(site)
    return [
        Place(node.name, node.site, node.role, node.state, expected.get(node.name, {}))
        for node in services.store.nodes(site=site)
        if node.declared
    ]


def _known(services: Services, enrollment: str) -> EnrollmentView:
    row = services.store.enrollment(enrollment)
    if row is None:
        raise OperatorError(f"there is no enrolment {enrollment!r}", fix="see `cto enroll list`")
    return row
