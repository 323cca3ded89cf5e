"""The Flask application: pages and JSON over the ports of `Backend`. Live updates are `web.live`'s part.

Knows no database and no controller. Safe by default: every answer carries the headers below, unknown
host names are refused (DNS rebinding), templates escape everything, and no route is answered without a rule
that says who may ask.
"""

import logging
import secrets
import shlex
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, request
from flask import render_template as render
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, SecurityError

from inventory.errors import FleetError, InvariantError
from web import navigation, pages, present
from web.access.guard import CSRF_FIELD, Guard, known, source
from web.access.ports import NotAllowed, TooManyTries
from web.access.scoped import of_request, read_at
from web.api import problems
from web.backend import Backend
from web.headers import HSTS, SECURITY_HEADERS
from web.ports import ERROR_TABLE, Queries
from web.topology import draw

LOOPBACK_HOSTS: tuple[str, ...] = ("127.0.0.1", "localhost")
MAX_BODY = 1024 * 1024
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
log = logging.getLogger(__name__)


def create_app(backend: Backend, *, hosts: Sequence[str] = LOOPBACK_HOSTS, secure: bool = False) -> Flask:
    """`hosts` are the names under which the page may be asked for; `secure`: it is served by TLS."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    app.url_map.merge_slashes = False
    app.config.update(TRUSTED_HOSTS=list(hosts), MAX_CONTENT_LENGTH=MAX_BODY, SEND_FILE_MAX_AGE_DEFAULT=0)
    app.config.update(MAX_FORM_MEMORY_SIZE=MAX_BODY // 4, MAX_FORM_PARTS=200)
    app.jinja_env.globals.update(present=present, draw=draw, now=backend.clock, principal=known)
    app.jinja_env.globals.update(navigation=lambda: navigation.items(app, known()), type_name=_type_name)
    app.jinja_env.globals.update(settings_pages=lambda: navigation.settings(app, known()))
    app.jinja_env.globals.update(csrf_field=_csrf_field, known_at=lambda: read_at() or backend.clock())
    app.jinja_env.filters["bytes"] = _bytes
    app.jinja_env.filters["sh"] = _shell  # names in commands that somebody copies into a shell
    guard = Guard(backend.access, secure=secure)
    guard.attach(app)
    pages.register(app, backend, of_request(backend.queries), guard)
    app.after_request(_secured(secure))
    app.after_request(_outdating(backend.queries))
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(FleetError, _failed)
    app.register_error_handler(Exception, _broken)
    return app


def _secured(secure: bool) -> Any:
    def add(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers[name] = value
        if secure:
            response.headers["Strict-Transport-Security"] = HSTS
        return response

    return add


def _outdating(queries: Queries) -> Any:
    """After an order, whoever looks next sees what came of it, also where many share what was read."""
    outdate = getattr(queries, "outdate", None)

    def look(response: Response) -> Response:
        if outdate is not None and request.method not in _READS and response.status_code < 400:
            outdate()
        return response

    return look


def _refused(error: Exception) -> ResponseReturnValue:
    if not isinstance(error, HTTPException):
        return _broken(error)
    if error.code is not None and error.code < 400 and error.response is not None:  # routing's own redirects
        return error.response
    status = error.code or 500
    if isinstance(error, SecurityError):
        _log_refusal("a name that is not ours")
    answer = _answer(status, slug=f"http-{status}", what=error.name, fix="go back to the overview")
    if status == 405 and isinstance(answer, tuple):  # which methods there are
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return (*answer, {"Allow": allowed})
    return answer


def _failed(error: Exception) -> ResponseReturnValue:
    status = next((http for family, _, http in ERROR_TABLE if isinstance(error, family)), 500)
    if not isinstance(error, FleetError) or isinstance(error, InvariantError):
        return _broken(error)
    if isinstance(error, (NotAllowed, TooManyTries)):
        _log_refusal(error.what)
    answer = _answer(status, slug=error.slug, what=error.what, fix=error.fix)
    if isinstance(error, TooManyTries) and isinstance(answer, tuple):
        return (*answer, {"Retry-After": str(error.seconds)})
    return answer


def _log_refusal(why: str) -> None:
    asking = known()
    actor = asking.actor if asking else "nobody"
    method, path = request.method, request.path[:200]
    log.warning("refused %s %r to %s from %s: %s", method, path, actor, source(), why)


def _broken(error: Exception) -> ResponseReturnValue:
    """Says nothing of the inside; the id finds the traceback in the log."""
    error_id = secrets.token_hex(4)
    log.error("error %s while answering %r", error_id, request.path[:200], exc_info=error)
    return _answer(500, slug="bug", what=f"an error inside cto, id {error_id}", fix="report it with this id")


def _answer(status: int, *, slug: str, what: str, fix: str) -> tuple[Any, int]:
    if request.path.startswith("/api/"):
        return problems.response(status, slug=slug, what=what, fix=fix), status
    # No query here: this page must come out even if the store does not.
    return render("error.html", status=status, what=what, fix=fix), status


def _csrf_field() -> Markup:
    """For every form: what tells it from one on another site's page."""
    asking = known()
    if asking is None:
        return Markup("")
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, asking.csrf)


def _type_name(value: object) -> str:
    return type(value).__name__


def _shell(value: object) -> str:
    return shlex.quote(str(value))


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
