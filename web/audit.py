"""The audit log: search it, see whether its chain is whole, take it away. Reads only."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from web.access.grants import Level
from web.access.guard import need
from web.lists import attachment, wanted_format
from web.ports import Records

SHOWN, EXPORTED = 100, 100_000
_HEAD = ("seq", "at", "actor", "action", "object", "before", "after", "reason", "run", "epoch", "hash")


def make(records: Records) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("audit", __name__)

    @blueprint.get("/audit")
    @need(Level.VIEWER, whole=True)
    def page() -> ResponseReturnValue:
        search = request.args.get("q", "").strip()[:200]
        before = request.args.get("before", "")
        start = int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else 0
        if wanted_format():
            everything = records.audit(search=search, limit=EXPORTED)
            return attachment(_HEAD, [[str(getattr(r, name)) for name in _HEAD] for r in everything], "audit")
        rows = records.audit(search=search, before=start, limit=SHOWN + 1)
        check = records.audit_check() if request.args.get("check") else None
        return render_template(
            "audit.html",
            rows=rows[:SHOWN],
            older=rows[SHOWN - 1].seq if len(rows) > SHOWN else 0,
            asked=search,
            start=start,
            check=check,
        )

    return blueprint
