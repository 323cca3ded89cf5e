"""A machine that proved a token is let into the list, once, or refused: all rules of that in one transaction.

Speaks no protocol and trusts nothing: what is kept here waits for an operator, or for a rule of `decide`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.store import audit
from controller.store.base import Unit, iso
from controller.store.connection import to_json
from controller.store.secretbox import Secret
from controller.store.tokens import TokensChapter, take_use
from inventory.lifecycle import NodeState
from roles.enrollment.hardware import identities

MAX_PENDING = 200
RESUME = timedelta(minutes=10)  # how long after the decision a machine may ask for it again
# Those that a machine comes back to; one that went away is the last choice.
_KNOWN = """SELECT * FROM enrollments WHERE token = ? AND node_key = ? AND state <> 'forgotten'
    ORDER BY state = 'expired', first_at DESC LIMIT 1"""
_FACTS = """SELECT n.name, n.host_key, json_extract(f.body, '$.facts.platform.uuid') AS uuid,
        json_extract(f.body, '$.facts.platform.serial') AS serial
    FROM nodes n JOIN facts f ON f.id = (SELECT max(id) FROM facts WHERE node = n.name)
    WHERE n.state <> ? AND n.host_key <> ''"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a machine said and proved. `ssh_key` is an OpenSSH line; the other keys and digests are hex."""

    token: str
    claimed: str
    node_key: str
    ssh_key: str
    ssh_port: int
    hardware: Mapping[str, str]
    words: str
    session: str
    request: str  # SHA-256 of the message that came
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The enrolment's `id`, or why there is none. `other`: whom the machine contradicts."""

    id: str = ""
    resumed: bool = False
    refused: str = ""  # revoked, expired, used, reuse, changed-keys, full
    other: str = ""


class EnrollingChapter(TokensChapter):
    def proof_secret(self, token_id: str) -> Secret | None:
        """To tell an old token from a guessed one. Whether it is still good, `enroll` says."""
        row = self._row("SELECT sealed FROM tokens WHERE id = ?", [token_id])
        if row is None:
            return None
        return self._box().open(row["sealed"], table="tokens", pk=token_id, column="sealed")

    def replayed(self, request: str) -> bool:
        """Whether a machine got into the list by this very message."""
        return self._row("SELECT 1 FROM enrollments WHERE request = ?", [request]) is not None

    def enroll(self, claim: Claim, *, now: datetime) -> Answer:
        """Takes one use of the token for a new machine; a machine that asks again gets its own entry.

        One transaction: of two machines with one use exactly one is in, and no use is lost half-way.
        """
        with self._unit() as unit:
            known = unit.one(_KNOWN, [claim.token, claim.node_key])
            if known is not None:
                return _again(unit, claim, dict(known), now)
            refused = _why_not(unit, claim, iso(now))
            if refused is not None:
                return refused
            take_use(unit, claim.token, now, actor="engine")
            return Answer(_insert(unit, claim, self._new_id()[-8:]))

    def seen_enrollment(self, enrollment: str) -> None:
        """Its machine is still there; a power cut may lose that."""
        self._loosely("UPDATE enrollments SET seen_at = ? WHERE id = ?", [self._stamp(), enrollment])

    def expire_enrollments(self, before: datetime) -> int:
        """Machines that wait and were not seen since; their use of the token stays used."""
        with self._unit() as unit:
            rows = unit.execute(
                "UPDATE enrollments SET state = 'expired', decided_at = ? WHERE state = 'pending'"
                " AND seen_at < ? RETURNING id, address",
                [unit.at, iso(before)],
            ).fetchall()
            for row in rows:
                entry = audit.Entry("engine", "expire enrollment", f"enrollment/{row['id']}")
                unit.audit(entry)
                unit.event("EnrollmentExpired", "controller", f"{row['id']} at {row['address']} went away")
        return len(rows)


def _again(unit: Unit, claim: Claim, known: dict[str, str], now: datetime) -> Answer:
    """The same machine: its first answer was lost, or its connection, or one of us was started anew."""
    if known["ssh_key"] != claim.ssh_key:
        return Answer(refused="changed-keys", other=known["node"] or known["id"])
    if known["state"] in ("approved", "rejected"):
        if known["decided_at"] < iso(now - RESUME):
            return Answer(refused="used", other=known["id"])
    elif (
        worthless := _worthless(unit, claim.token, iso(now), revived=known["state"] == "expired")
    ) is not None:
        return worthless
    else:
        unit.execute("UPDATE enrollments SET state = 'pending', decided_at = '' WHERE id = ?", [known["id"]])
    unit.execute(
        "UPDATE enrollments SET seen_at = ?, address = ? WHERE id = ?", [unit.at, claim.address, known["id"]]
    )
    return Answer(known["id"], resumed=True)


def _why_not(unit: Unit, claim: Claim, at: str) -> Answer | None:
    worthless = _worthless(unit, claim.token, at, revived=True)
    if worthless is not None:
        return worthless
    for other in _known_by_hardware(unit, claim, at):
        return Answer(refused="changed-keys", other=other)
    if unit.one("SELECT 1 FROM tokens WHERE id = ? AND uses > 0", [claim.token]) is None:
        return _used_up(unit, claim)
    waiting = unit.one("SELECT count(*) AS waiting FROM enrollments WHERE state = 'pending'")
    if waiting is not None and waiting["waiting"] >= MAX_PENDING:
        return Answer(refused="full")
    return None


def _worthless(unit: Unit, token: str, at: str, *, revived: bool) -> Answer | None:
    """Revoked counts for everybody, expired for who asks for the first time or was away for long."""
    row = unit.one("SELECT expires_at, revoked_at FROM tokens WHERE id = ?", [token])
    if row is None or row["revoked_at"]:
        return Answer(refused="revoked")
    return Answer(refused="expired") if revived and row["expires_at"] <= at else None


def _used_up(unit: Unit, claim: Claim) -> Answer:
    """Whoever has it now may be the wrong one just as well: both are shown, and neither gets in by itself."""
    rows = unit.execute(
        "SELECT id, node, state FROM enrollments WHERE token = ? AND node_key <> ? ORDER BY first_at DESC",
        [claim.token, claim.node_key],
    ).fetchall()
    for row in rows:
        if row["state"] == "pending":
            note = f"a machine at {claim.address} with other keys proved the same token"
            _flag(unit, row["id"], note)
    if not rows:
        return Answer(refused="used")
    return Answer(refused="reuse", other=rows[0]["node"] or rows[0]["id"])


def _known_by_hardware(unit: Unit, claim: Claim, at: str) -> Iterator[str]:
    """Nodes that were this hardware, by its own word, under other keys."""
    own = identities(claim.hardware)
    again = {r["node"] for r in unit.execute("SELECT node FROM enrollment_again WHERE until > ?", [at])}
    sql = """SELECT e.node, e.node_key, e.ssh_key, e.hardware FROM enrollments e
        LEFT JOIN nodes n ON n.name = e.node WHERE e.state = 'approved' AND coalesce(n.state, '') <> ?"""
    for row in unit.execute(sql, [NodeState.RESET]):
        theirs = identities(json.loads(row["hardware"]))
        same_keys = (row["node_key"], row["ssh_key"]) == (claim.node_key, claim.ssh_key)
        if row["node"] not in again and not same_keys and own.items() & theirs.items():
            yield row["node"]
    for row in unit.execute(_FACTS, [NodeState.RESET]):
        theirs = identities({"uuid": row["uuid"] or "", "serial": row["serial"] or ""})
        if row["name"] not in again and row["host_key"] != claim.ssh_key and own.items() & theirs.items():
            yield row["name"]


def _insert(unit: Unit, claim: Claim, new_id: str) -> str:
    token = unit.one("SELECT site, role FROM tokens WHERE id = ?", [claim.token])
    site, role = (token["site"], token["role"]) if token else ("", "")
    unit.execute(
        "INSERT INTO enrollments (id, state, token, site, role, claimed, node_key, ssh_key, ssh_port,"
        " hardware, words, session, request, address, first_at, seen_at)"
        " VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            new_id, claim.token, site, role, claim.claimed, claim.node_key, claim.ssh_key, claim.ssh_port,
            to_json(dict(claim.hardware)), claim.words, claim.session, claim.request, claim.address,
            unit.at, unit.at,
        ],
    )  # fmt: skip
    _flag_twins(unit, claim, new_id)
    unit.event("EnrollmentPending", "controller", f"{new_id} at {claim.address} waits: {claim.words}")
    after = f"{claim.words} at {claim.address} by token {claim.token}"
    unit.audit(audit.Entry("engine", "pend enrollment", f"enrollment/{new_id}", after=after))
    return new_id


def _flag_twins(unit: Unit, claim: Claim, new_id: str) -> None:
    """Two that wait and claim to be the same hardware stand side by side, flagged."""
    own = identities(claim.hardware)
    sql = "SELECT id, hardware FROM enrollments WHERE state = 'pending' AND id <> ?"
    for row in unit.execute(sql, [new_id]).fetchall():
        shared = own.items() & identities(json.loads(row["hardware"])).items()
        if shared:
            kinds = " and ".join(sorted(kind for kind, _ in shared))
            _flag(unit, new_id, f"claims the same {kinds} as {row['id']}")
            _flag(unit, row["id"], f"claims the same {kinds} as {new_id}")


def _flag(unit: Unit, enrollment: str, note: str) -> None:
    """Each note once; a flood of them is cut."""
    row = unit.one("SELECT conflict FROM enrollments WHERE id = ?", [enrollment])
    notes = row["conflict"].split("; ") if row and row["conflict"] else []
    if note in notes or len(notes) >= 5:
        return
    unit.execute("UPDATE enrollments SET conflict = ? WHERE id = ?", ["; ".join([*notes, note]), enrollment])
    unit.event("EnrollmentConflict", "controller", f"{enrollment}: {note}")
