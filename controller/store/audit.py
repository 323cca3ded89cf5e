"""The audit chain: who did what, each row bound to all rows before it.

hash(n) = SHA-256(hash(n-1) ‖ RFC 8785 form of row n). Edits, removals in the middle and reordering are
found by `verify`. A tail that was cut off leaves a shorter but valid chain: only somebody who kept an
earlier `AuditHead` elsewhere can see that, so `verify` takes one.
"""

import hashlib
import re
import sqlite3
from dataclasses import dataclass

from inventory.errors import OperatorError

_START = b"\0" * 32
_NOTED = re.compile(r"([0-9]{1,15})[\s:]+([0-9a-fA-F]{64})", re.ASCII)
_COLUMNS = ("seq", "at", "actor", "action", "object", "before", "after", "reason", "run", "epoch")


@dataclass(frozen=True, slots=True)
class AuditHead:
    seq: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "AuditHead":
        """`SEQ HASH`, as it was shown. Raises OperatorError for anything else."""
        found = _NOTED.fullmatch(text.strip())
        if found is None:
            raise OperatorError(
                "that is no row as it was noted", fix="give its number and its hash: --noted '42 3f9c…'"
            )
        return cls(int(found[1]), found[2].lower())


@dataclass(frozen=True, slots=True)
class AuditReport:
    ok: bool
    rows: int
    first_bad: int = 0  # the seq of the first row that is wrong or missing; 0: none
    why: str = ""
    head: AuditHead = AuditHead(0, "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row to append. `before` and `after` are states or digests, never secrets."""

    actor: str
    action: str
    object: str
    before: str = ""
    after: str = ""
    reason: str = ""
    run: str = ""


def append(connection: sqlite3.Connection, entry: Entry, *, at: str, epoch: int) -> None:
    """Inside the transaction of the change that the entry is about."""
    last = head(connection)
    row: dict[str, str | int] = {
        "seq": last.seq + 1,
        "at": at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "run": entry.run,
        "epoch": epoch,
    }
    connection.execute(
        "INSERT INTO audit (seq, at, actor, action, object, before, after, reason, run, epoch, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*row.values(), _digest(_previous(last), row)],
    )


def head(connection: sqlite3.Connection) -> AuditHead:
    """The last row. Kept elsewhere (printed, sent to a syslog), it makes a cut-off tail visible."""
    row = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return AuditHead(row["seq"], row["hash"]) if row else AuditHead(0, "")


def verify(connection: sqlite3.Connection, *, anchor: AuditHead | None = None) -> AuditReport:
    """Recomputes the chain from its first row, and compares it with `anchor` if there is one."""
    last = AuditHead(0, "")
    for found in connection.execute("SELECT * FROM audit ORDER BY seq"):
        row = {name: found[name] for name in _COLUMNS}
        if row["seq"] != last.seq + 1:
            return _bad(last, f"row {last.seq + 1} is missing")
        if found["hash"] != _digest(_previous(last), row):
            return _bad(last, f"row {row['seq']} was changed, or is not the one that was written here")
        last = AuditHead(row["seq"], found["hash"])
        if anchor is not None and anchor.seq == last.seq and anchor.hash != last.hash:
            return AuditReport(
                ok=False,
                rows=last.seq,
                first_bad=last.seq,
                why="the chain differs from the one noted",
                head=last,
            )
    if anchor is not None and anchor.seq > last.seq:
        return _bad(last, f"the rows from {last.seq + 1} to {anchor.seq} were cut off")
    return AuditReport(ok=True, rows=last.seq, head=last)


def _bad(last: AuditHead, why: str) -> AuditReport:
    return AuditReport(ok=False, rows=last.seq, first_bad=last.seq + 1, why=why, head=last)


def _previous(last: AuditHead) -> bytes:
    return bytes.fromhex(last.hash) if last.seq else _START


def _digest(previous: bytes, row: dict[str, str | int]) -> str:
    import rfc8785

    return hashlib.sha256(previous + rfc8785.dumps(row)).hexdigest()
