"""Enrolment in the store: when it is open, who was refused, and what an operator decided.

How a machine gets into the list is `enrolling`; which node it becomes, `controller.app.enrollment` says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from controller.store import audit, enrollments_read
from controller.store.base import Unit, find, iso
from controller.store.connection import to_json
from controller.store.enrolling import EnrollingChapter
from controller.store.pins import pin_node
from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import NodeState
from web.ports import EnrollmentView, EnrollWindowView, RefusalView

MAX_REFUSALS = 100  # kinds of refused attempts that are kept; the audit log has all
AGAIN = timedelta(hours=24)  # how long a node's machine may come with new keys once it was said so


class EnrollmentsChapter(EnrollingChapter):
    # --- when it is open

    def open_enrollment(self, *, until: datetime, interfaces: Sequence[str], port: int, actor: str) -> None:
        """From now until then, wherever somebody listens; in place of what was said before."""
        with self._unit() as unit:
            unit.execute("DELETE FROM enrollment_window")
            unit.execute(
                "INSERT INTO enrollment_window (id, opened_at, until, interfaces, port, actor)"
                " VALUES (1, ?, ?, ?, ?, ?)",
                [unit.at, iso(until), to_json(list(interfaces)), port, actor],
            )
            where = ", ".join(interfaces)
            unit.event("EnrollmentOpened", "controller", f"until {iso(until)} on {where}")
            unit.audit(
                audit.Entry(actor, "open enrollment", "enrollment", after=f"until {iso(until)} on {where}")
            )

    def close_enrollment(self, *, actor: str, reason: str, opened_at: str = "") -> bool:
        """False if it was closed already, or if it is another opening than that of `opened_at`."""
        with self._unit() as unit:
            now = unit.one("SELECT opened_at FROM enrollment_window")
            if opened_at and (now is None or now["opened_at"] != opened_at):
                return False
            return close(unit, actor=actor, reason=reason)

    def enrollment_window(self) -> EnrollWindowView | None:
        return enrollments_read.window(self._rows)

    def note_listener(self, *, pid: int, endpoints: Sequence[str], problem: str = "") -> None:
        """Where somebody listens now; nowhere, or why not."""
        with self._unit() as unit:
            unit.execute(
                "UPDATE enrollment_window SET pid = ?, endpoints = ?, problem = ?",
                [pid, to_json(list(endpoints)), problem],
            )

    def note_rivals(self, rivals: Sequence[str]) -> None:
        """Others that announce themselves as a controller. A machine believes none: they lack the key."""
        with self._unit() as unit:
            unit.execute("UPDATE enrollment_window SET rivals = ?", [to_json(list(rivals))])
            if rivals:
                unit.event(
                    "EnrollmentRival", "controller", f"announced as a controller, too: {', '.join(rivals)}"
                )

    # --- who was refused

    def refuse_enrollment(
        self, reason: str, *, address: str, token: str = "", what: str, fix: str, times: int = 1
    ) -> None:
        """One more attempt that was refused: its own audit row, and one line of the list for all alike."""
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO enrollment_refusals"
                " (reason, address, token, what, fix, times, first_at, last_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reason, address, token) DO UPDATE SET"
                " times = times + excluded.times, last_at = excluded.last_at, what = excluded.what",
                [reason, address, token, what, fix, times, unit.at, unit.at],
            )
            unit.execute(
                "DELETE FROM enrollment_refusals WHERE rowid NOT IN (SELECT rowid FROM enrollment_refusals"
                " ORDER BY last_at DESC, rowid DESC LIMIT ?)",
                [MAX_REFUSALS],
            )
            often = f" ({times} times)" if times > 1 else ""
            unit.event("EnrollmentRefused", "controller", f"{address}: {what}{often}", {"reason": reason})
            where = f"enrollment/{address}" + (f"/{token}" if token else "")
            unit.audit(audit.Entry("engine", f"refuse enrollment: {reason}", where, reason=what + often))

    def enrollment_refusals(self) -> Sequence[RefusalView]:
        return enrollments_read.refusals(self._rows)

    # --- what was decided

    def enrollments(self, states: Sequence[str] = ()) -> Sequence[EnrollmentView]:
        return enrollments_read.enrollments(self._rows, states)

    def enrollment(self, enrollment: str) -> EnrollmentView | None:
        row = self._row("SELECT * FROM enrollments WHERE id = ?", [enrollment])
        return enrollments_read.view(row) if row else None

    def expected_hardware(self, site: str = "") -> Mapping[str, Mapping[str, str]]:
        return enrollments_read.expected(self._rows, site)

    def approve_enrollment(
        self,
        enrollment: str,
        *,
        node: str,
        address: str,
        port: int,
        user: str,
        jump: str,
        actor: str,
        reason: str,
    ) -> EnrollmentView:
        """The machine is `node` from now on and its SSH host key is pinned, both or neither."""
        with self._unit() as unit:
            row = _undecided(unit, enrollment, ("pending",))
            if unit.one("SELECT 1 FROM tokens WHERE id = ? AND revoked_at <> ''", [row.token]):
                raise RefusedError(
                    f"its token {row.token} was revoked since",
                    where=f"enrollment/{enrollment}",
                    fix=f"cto enroll reject {enrollment}, then make a token and let the machine ask with it",
                )
            pin_node(
                unit, node, address=address, host_key=row.ssh_key, port=port, user=user, jump=jump,
                site=row.site, cluster="", role=row.role, actor=actor, replace=_may_replace(unit, node),
                reason=f"enrolment {enrollment}: {reason}",
            )  # fmt: skip
            unit.execute("DELETE FROM enrollment_again WHERE node = ?", [node])
            _decide(unit, row, "approved", node=node, actor=actor, reason=reason)
            unit.event("EnrollmentApproved", f"node/{node}", f"{enrollment} at {address} is {node}")
        return row

    def reject_enrollment(
        self, enrollment: str, *, actor: str, reason: str, again: bool = False
    ) -> EnrollmentView:
        """`again`: it was the right machine but has to begin anew, so its use of the token is given back."""
        with self._unit() as unit:
            row = _undecided(unit, enrollment, ("pending", "expired"))
            _decide(unit, row, "rejected", node="", actor=actor, reason=reason)
            unit.event("EnrollmentRejected", "controller", f"{enrollment} at {row.address}: {reason}")
            if again:
                _return_use(unit, row.token, actor=actor, reason=reason)
        return row

    def forget_enrollment(self, node: str, *, actor: str, reason: str) -> None:
        """The machine of `node` may come with new keys, within a day: it was started anew, or exchanged.

        It may ask with the token that it had, if that is still good otherwise.
        """
        with self._unit() as unit:
            found = unit.execute(
                "UPDATE enrollments SET state = 'forgotten' WHERE state = 'approved' AND node = ?"
                " RETURNING token",
                [node],
            ).fetchall()
            for row in found:
                _return_use(unit, row["token"], actor=actor, reason=reason)
            if not found and find(unit, "node", node) is None:
                raise OperatorError(f"there is no node {node!r}", fix="see `cto node list`")
            unit.execute(
                "INSERT INTO enrollment_again (node, until) VALUES (?, ?)"
                " ON CONFLICT (node) DO UPDATE SET until = excluded.until",
                [node, iso(self._now() + AGAIN)],
            )
            unit.event("EnrollmentForgotten", f"node/{node}", f"its machine may come with new keys: {reason}")
            unit.audit(audit.Entry(actor, "forget enrollment", f"node/{node}", reason=reason))


def close(unit: Unit, *, actor: str, reason: str) -> bool:
    closed = unit.execute(
        "UPDATE enrollment_window SET closed_at = ?, endpoints = '[]', pid = 0 WHERE closed_at = ''",
        [unit.at],
    ).rowcount
    if closed:
        unit.event("EnrollmentClosed", "controller", reason)
        unit.audit(audit.Entry(actor, "close enrollment", "enrollment", reason=reason))
    return bool(closed)


def _return_use(unit: Unit, token: str, *, actor: str, reason: str) -> None:
    unit.execute("UPDATE tokens SET uses = uses + 1 WHERE id = ? AND uses < granted", [token])
    unit.audit(audit.Entry(actor, "return token use", f"tokens/{token}", reason=reason))


def _may_replace(unit: Unit, node: str) -> bool:
    """Whether a pin of `node` may give way: it holds nothing any more, or an operator said so."""
    row = find(unit, "node", node)
    said = unit.one("SELECT 1 FROM enrollment_again WHERE node = ? AND until > ?", [node, unit.at])
    return said is not None or (row is not None and row["state"] == NodeState.RESET)


def _undecided(unit: Unit, enrollment: str, states: Sequence[str]) -> EnrollmentView:
    found = unit.one("SELECT * FROM enrollments WHERE id = ?", [enrollment])
    if found is None:
        raise OperatorError(f"there is no enrolment {enrollment!r}", fix="see `cto enroll list`")
    if found["state"] not in states:
        became = f" ({found['node']})" if found["node"] else ""
        raise RefusedError(
            f"enrolment {enrollment} is {found['state']}{became} already",
            fix="see `cto enroll list`; what was decided is not decided again",
        )
    return enrollments_read.view(found)


def _decide(unit: Unit, row: EnrollmentView, state: str, *, node: str, actor: str, reason: str) -> None:
    unit.execute(
        "UPDATE enrollments SET state = ?, node = ?, decided_by = ?, reason = ?, decided_at = ? WHERE id = ?",
        [state, node, actor, reason, unit.at, row.id],
    )
    verb = "approve" if state == "approved" else "reject"
    after = f"{node} {row.words}".strip()
    entry = audit.Entry(
        actor, f"{verb} enrollment", f"enrollment/{row.id}", before="pending", after=after, reason=reason
    )
    unit.audit(entry)
