"""The Flask application: pages and JSON over `Queries`. Reads only; live updates are `web.live`'s part.

Knows no database and no controller. Safe by default: every answer carries the headers below, unknown
host names are refused (DNS rebinding), and templates escape everything.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from inventory.errors import FleetError
from web import events, nodes, overview, present
from web.ports import ERROR_TABLE, Queries
from web.topology import draw

LOOPBACK_HOSTS: tuple[str, ...] = ("127.0.0.1", "localhost")
SECURITY_HEADERS: dict[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MAX_BODY = 1024 * 1024
log = logging.getLogger(__name__)


def create_app(
    queries: Queries, *, clock: Callable[[], datetime], hosts: Sequence[str] = LOOPBACK_HOSTS
) -> Flask:
    """`clock` gives the time in UTC; `hosts` are the names under which the page may be asked for."""
    app = Flask(__name__)
    app.config.update(TRUSTED_HOSTS=list(hosts), MAX_CONTENT_LENGTH=_MAX_BODY, SEND_FILE_MAX_AGE_DEFAULT=0)
    app.jinja_env.globals.update(present=present, draw=draw, now=clock)
    app.jinja_env.filters["bytes"] = _bytes
    for blueprint in (overview.make(queries, clock), nodes.make(queries, clock), events.make(queries, clock)):
        app.register_blueprint(blueprint)
    app.after_request(_secure)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(FleetError, _failed)
    app.register_error_handler(Exception, _broken)
    return app


def _secure(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers[name] = value
    return response


def _refused(error: Exception) -> ResponseReturnValue:
    status = error.code or 500 if isinstance(error, HTTPException) else 500
    name = error.name if isinstance(error, HTTPException) else "Error"
    return _answer(status, slug=f"http-{status}", what=name, fix="go back to the overview")


def _failed(error: Exception) -> ResponseReturnValue:
    status = next((http for family, _, http in ERROR_TABLE if isinstance(error, family)), 500)
    if not isinstance(error, FleetError):
        return _broken(error)
    return _answer(status, slug=error.slug, what=error.what, fix=error.fix)


def _broken(error: Exception) -> ResponseReturnValue:
    """Says nothing of the inside; the id finds the traceback in the log."""
    error_id = secrets.token_hex(4)
    log.error("error %s while answering %s", error_id, request.path, exc_info=error)
    return _answer(500, slug="bug", what=f"an error inside cto, id {error_id}", fix="report it with this id")


def _answer(status: int, *, slug: str, what: str, fix: str) -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        return jsonify(error={"slug": slug, "what": what, "fix": fix}), status
    # No query here: this page must come out even if the store does not.
    return render_template("error.html", status=status, what=what, fix=fix), status


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
