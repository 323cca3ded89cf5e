"""The guard before every route: who asks, may they, and did the request come from our own page?

Deny by default: a view without a rule is answered to nobody. Rules are decorators, so that they stand where
the route does; a test walks all routes.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar, cast

from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from inventory.errors import InvariantError, OperatorError
from web.access.cookies import cookie_name
from web.access.grants import Level, Principal
from web.access.ports import (
    LONGEST_SECONDS,
    Access,
    ConfirmFirst,
    Login,
    NotAllowed,
    NotRecognized,
    TooManyTries,
)

V = TypeVar("V", bound=Callable[..., Any])
RULE = "__cto_rule__"
CSRF_FIELD, CSRF_HEADER, REFRESH_HEADER = "csrf", "X-CSRF-Token", "X-Refresh"
PROOF_FIELD, PROOF_TOTP_FIELD = "proof", "proof_totp"  # who it is, once more
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_STATIC = "static"  # style sheet, script, icon: the same for everybody


@dataclass(frozen=True, slots=True)
class Rule:
    """`level` None: anybody, also without a login."""

    level: Level | None
    whole: bool = False
    person: bool = False
    fresh: bool = False
    early: bool = False


def open_to_all(view: V) -> V:
    """Login and the like."""
    setattr(view, RULE, Rule(None))
    return view


def need(
    level: Level, *, whole: bool = False, person: bool = False, fresh: bool = False, early: bool = False
) -> Callable[[V], V]:
    """Only those who hold that grant: somewhere (the view then shows only what they may see, and asks
    `may_at` before it acts), or with `whole` for the whole fleet. With `person` not by an API token: one
    that was stolen must not make more of itself. With `fresh` only shortly after somebody showed who they
    are: a browser that was left open must not change who gets in. `early`: also for those who owe a second
    factor, so that they can set it up.
    """

    def mark(view: V) -> V:
        setattr(view, RULE, Rule(level, whole, person, fresh, early))
        return view

    return mark


def who() -> Principal:
    """The one who asks. Only in views that have a rule."""
    found = getattr(g, "principal", None)
    if found is None:
        raise NotRecognized("nobody is logged in", fix="log in first")
    return cast(Principal, found)


def known() -> Principal | None:
    """The same, where perhaps nobody is logged in."""
    return cast(Principal | None, getattr(g, "principal", None))


def source() -> str:
    """Where the request comes from; of IPv6 the network, since one machine has many addresses in it."""
    address = request.remote_addr or ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


class Guard:
    def __init__(self, access: Access, *, secure: bool) -> None:
        self._access, self._secure = access, secure

    def attach(self, app: Flask) -> None:
        self._app = app
        app.before_request(self._check)
        app.after_request(self._reopened)

    def _check(self) -> ResponseReturnValue | None:
        if request.endpoint is None or request.endpoint == _STATIC:
            return None  # no such route, or nothing to hide
        rule = getattr(self._app.view_functions[request.endpoint], RULE, None)
        if not isinstance(rule, Rule):
            raise InvariantError(f"the route {request.endpoint} has no rule", fix="report this")
        token = _bearer()
        principal = self._identify(token)
        g.principal = principal
        if request.method not in _READS and not token:
            self._came_from_us(principal)
        if rule.level is None:
            return None
        if principal is None:
            return self._to_login(bool(token))
        self._may(principal, rule)
        if principal.owes_factor and not rule.early:
            return self._to_factor()
        if rule.fresh and not principal.fresh and not token:
            return self._confirm(principal)
        return None

    def _identify(self, token: str) -> Principal | None:
        if token:
            return self._access.bearer(token, source=source())
        cookie = request.cookies.get(cookie_name(request.host, secure=self._secure), "")
        look = REFRESH_HEADER in request.headers  # the script's doing, not a person's
        return self._access.recognize(cookie, source=source(), look=look) if cookie else None

    def _came_from_us(self, principal: Principal | None) -> None:
        """Another site's page may make a browser send things, with the cookie. It can't make up these."""
        site = request.headers.get("Sec-Fetch-Site")
        own = f"{'https' if self._secure else 'http'}://{request.host}"
        # Origin only without the other header: under our referrer policy browsers send "null" from our pages.
        ours = site == "same-origin" if site is not None else request.headers.get("Origin", own) == own
        if not ours:
            raise NotAllowed("this did not come from a page of this controller", fix="use its own pages")
        if principal is None:
            return  # nobody's session can be misused
        sent = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
        if not hmac.compare_digest(sent.encode(), principal.csrf.encode()):
            raise NotAllowed("this form belongs to another session", fix="reload the page and try again")

    def _may(self, principal: Principal, rule: Rule) -> None:
        level = cast(Level, rule.level)
        if not (principal.may(level) if rule.whole else principal.may_somewhere(level)):
            where = " for the whole fleet" if rule.whole else ""
            raise NotAllowed(
                f"this needs the grant {level.word}{where}", fix="ask an administrator: cto user grant"
            )
        if rule.person and principal.token_id:
            raise NotAllowed(
                "an API token does not do this", fix="log in, or use the command line on the controller"
            )

    def _to_login(self, had_token: bool) -> ResponseReturnValue:
        if request.method == "GET" and not request.path.startswith("/api/") and not had_token:
            return redirect(url_for("login.page", next=request.full_path.rstrip("?")), 303)
        what = "this token is not good (any more)" if had_token else "nobody is logged in"
        raise NotRecognized(what, fix="log in, or send a token of yours: cto apitoken create")

    def _to_factor(self) -> ResponseReturnValue:
        if request.method == "GET" and not request.path.startswith("/api/"):
            return redirect(url_for("settings.factor"), 303)
        raise NotAllowed("a second factor is asked for here", fix="set it up first: Settings")

    def _confirm(self, principal: Principal) -> ResponseReturnValue | None:
        """The page that asks once more, or with its answer a session of its own; then the order goes on."""
        if request.path.startswith("/api/"):
            raise ConfirmFirst("this login is too long ago for that", fix="log in again, then repeat it")
        proof, totp = request.form.get(PROOF_FIELD, ""), request.form.get(PROOF_TOTP_FIELD, "")
        if not proof:
            return _asked(403)
        try:
            login = self._access.confirm(principal, proof, totp, source=source())
        except NotRecognized as error:
            return _asked(401, error)
        except TooManyTries as error:
            return _asked(429, error, {"Retry-After": str(error.seconds)})
        g.reopened, g.principal = login, login.principal
        return None

    # --- the cookie

    def _reopened(self, response: Response) -> Response:
        login = g.pop("reopened", None)
        return self.open(response, login) if login is not None else response

    def open(self, response: Response, login: Login) -> Response:
        """The session begins: a new cookie. The one that the browser had before is over."""
        name = cookie_name(request.host, secure=self._secure)
        before = request.cookies.get(name, "")
        if before:
            self._access.logout(before)
        response.set_cookie(
            name,
            login.cookie,
            max_age=LONGEST_SECONDS,
            secure=self._secure,
            httponly=True,
            samesite="Strict",
            path="/",
        )
        return response

    def close(self, response: Response) -> Response:
        name = cookie_name(request.host, secure=self._secure)
        cookie = request.cookies.get(name, "")
        if cookie:
            self._access.logout(cookie)
        response.delete_cookie(name, secure=self._secure, httponly=True, samesite="Strict", path="/")
        return response


def _asked(
    status: int, error: OperatorError | None = None, headers: dict[str, str] | None = None
) -> ResponseReturnValue:
    """Who is it? With all that the form held, so that nothing has to be typed again."""
    own = {CSRF_FIELD, PROOF_FIELD, PROOF_TOTP_FIELD}
    kept = [(name, value) for name, value in request.form.items(multi=True) if name not in own]
    page = render_template("confirm.html", error=error, kept=kept, path=request.path)
    return make_response(page, status, headers or {})


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def checked_next(path: str) -> str:
    """Where to go after the login: a page of ours, or the first one."""
    fine = (
        path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/enter")) and path.isprintable()
    )
    return path if fine and "\\" not in path else "/"
