"""The audit log: search it, see whether its chain is whole, take it away. Reads only."""

from collections.abc import Iterator, Sequence

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from web.access.grants import Level
from web.access.guard import need
from web.lists import wanted_format
from web.ports import AuditView, Records
from web.streams import streamed

SHOWN, _PIECE = 100, 500
_HEAD = ("seq", "at", "actor", "action", "object", "before", "after", "reason", "run", "epoch", "hash")


def make(records: Records) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("audit", __name__)

    @blueprint.get("/audit")
    @need(Level.VIEWER, whole=True)
    def page() -> ResponseReturnValue:
        search = request.args.get("q", "").strip()[:200]
        oldest = request.args.get("order") == "oldest"
        start = _number(request.args.get("after" if oldest else "before", ""))
        if wanted_format():
            return streamed(_HEAD, _all(records, search, oldest), "audit")
        rows = _page(records, search, start, SHOWN + 1, oldest)
        noted = request.args.get("noted", "").strip()[:200]
        check = records.audit_check(noted=noted) if request.args.get("check") else None
        return render_template(
            "audit.html",
            rows=rows[:SHOWN],
            onward=rows[SHOWN - 1].seq if len(rows) > SHOWN else 0,
            oldest=oldest,
            asked=search,
            noted=noted,
            start=start,
            check=check,
        )

    return blueprint


def _page(records: Records, search: str, start: int, limit: int, oldest: bool) -> Sequence[AuditView]:
    before, after = (0, start) if oldest else (start, 0)
    return records.audit(search=search, before=before, after=after, limit=limit, oldest=oldest)


def _all(records: Records, search: str, oldest: bool) -> Iterator[list[list[str]]]:
    """However many rows there are."""
    start = 0
    while page := _page(records, search, start, _PIECE, oldest):
        yield [[str(getattr(row, name)) for name in _HEAD] for row in page]
        start = page[-1].seq


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
