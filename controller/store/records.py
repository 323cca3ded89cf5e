"""Reads the audit log for people: search, and whether the chain is whole. `audit` has the chain itself."""

from collections.abc import Sequence

from controller.store import audit
from controller.store.connection import translated
from controller.store.home import Home
from controller.store.queries import StoreQueries
from web.ports import AuditCheck, AuditView

_TEXT = "(at || ' ' || actor || ' ' || action || ' ' || object || ' ' || after || ' ' || reason)"
_LIKE = str.maketrans({"%": "!%", "_": "!_", "!": "!!"})
_MOST_WORDS, _AFTER_ALL = 8, 2**62


class StoreRecords:
    def __init__(self, home: Home, queries: StoreQueries) -> None:
        self._home, self._queries = home, queries

    def audit(
        self, *, search: str = "", before: int = 0, after: int = 0, limit: int = 100, oldest: bool = False
    ) -> Sequence[AuditView]:
        """The newest first, or the oldest."""
        words = [f"%{word.translate(_LIKE)}%" for word in search.split()[:_MOST_WORDS]]
        every = "".join(f" AND {_TEXT} LIKE ? ESCAPE '!'" for _ in words)
        order = "ASC" if oldest else "DESC"
        sql = f"SELECT * FROM audit WHERE seq > ? AND seq < ?{every} ORDER BY seq {order} LIMIT ?"  # noqa: S608 -- constants
        rows = self._queries.rows(sql, [after, before or _AFTER_ALL, *words, limit])
        return tuple(AuditView(**dict(row)) for row in rows)

    def audit_check(self, *, noted: str = "") -> AuditCheck:
        anchor = audit.AuditHead.parse(noted) if noted else None
        with translated(self._home.database):
            found = audit.verify(self._queries.connected(), anchor=anchor)
        head = f"{found.head.seq} {found.head.hash}"
        return AuditCheck(found.ok, found.rows, found.first_bad, found.why, head)
