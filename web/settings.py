"""Settings: one's own sessions, password, second factor, API tokens; for administrators, all accounts.

What is shown once (a token, a one-time code) is in the answer to the order itself, and nowhere else.
"""

from flask import Blueprint, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError, UnknownName
from web import qr
from web.access.grants import Grant, Level, Principal
from web.access.guard import Guard, need, who
from web.access.ports import TOKEN_DAYS, Access
from web.ports import Queries

_MAX = 300


def make(access: Access, _queries: Queries, guard: Guard) -> Blueprint:
    """The blueprint, bound to the accounts and to the guard that keeps the cookie."""
    blueprint = Blueprint("settings", __name__, url_prefix="/settings")
    _own(blueprint, access, guard)
    _second_factor(blueprint, access)
    _tokens(blueprint, access)
    _everybody(blueprint, access)
    return blueprint


def _own(blueprint: Blueprint, access: Access, guard: Guard) -> None:
    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        return shown(access)

    @blueprint.post("/sessions/end")
    @need(Level.VIEWER, person=True, fresh=True)
    def end_session() -> ResponseReturnValue:
        access.end_session(who(), _field("id"))
        return _back("ended")

    @blueprint.post("/password")
    @need(Level.VIEWER, person=True)
    def password() -> ResponseReturnValue:
        if _field("new") != _field("again"):
            raise OperatorError("the two new passwords differ", fix="type the same one twice")
        access.change_password(who(), _field("old"), _field("new"), _field("totp"))
        return guard.close(make_response(redirect("/login", 303)))


def _second_factor(blueprint: Blueprint, access: Access) -> None:
    @blueprint.get("/second-factor")
    @need(Level.VIEWER, person=True, early=True)
    def factor() -> ResponseReturnValue:
        """For those who can't go on without one."""
        return render_template("factor.html")

    @blueprint.post("/totp/begin")
    @need(Level.VIEWER, person=True, early=True)
    def begin_totp() -> ResponseReturnValue:
        _has_password(access, who())
        made = access.begin_totp(who())
        return render_template("totp.html", secret=made.secret, qr=qr.picture(made.uri))

    @blueprint.post("/totp/confirm")
    @need(Level.VIEWER, person=True, early=True)
    def confirm_totp() -> ResponseReturnValue:
        _has_password(access, who())
        access.confirm_totp(who(), _field("secret"), _field("code"), _field("password"))
        return _back("totp-on")

    @blueprint.post("/totp/remove")
    @need(Level.VIEWER, person=True)
    def remove_totp() -> ResponseReturnValue:
        access.remove_totp(who(), _field("password"), _field("totp"))
        return _back("totp-off")


def _tokens(blueprint: Blueprint, access: Access) -> None:
    @blueprint.post("/tokens/create")
    @need(Level.VIEWER, person=True, fresh=True)
    def create_token() -> ResponseReturnValue:
        days = _field("days") or "30"
        if not days.isascii() or not days.isdecimal() or len(days) > 4:
            raise OperatorError(f"{days[:20]!r} is no number of days", fix=f"write 1 to {TOKEN_DAYS}")
        grant = Grant.parse(_field("grant"))
        view, text = access.create_api_token(who(), grant, note=_field("note"), days=int(days))
        return shown(access, once=f"API token {view.id} ({view.grant})", secret=text)

    @blueprint.post("/tokens/revoke")
    @need(Level.VIEWER, person=True)
    def revoke_token() -> ResponseReturnValue:
        asking = who()
        mine = access.api_tokens("" if asking.may(Level.ADMIN) else asking.account)
        if _field("id") not in {each.id for each in mine}:
            raise UnknownName("there is no such API token", fix="see the list of tokens")
        access.revoke_api_token(asking, _field("id"))
        return _back("revoked")


def _everybody(blueprint: Blueprint, access: Access) -> None:
    @blueprint.post("/accounts/add")
    @need(Level.ADMIN, whole=True, person=True, fresh=True)
    def invite() -> ResponseReturnValue:
        name = _field("name")
        code = access.invite(who(), name, _grants(_field("grants")))
        return shown(access, once=f"one-time code of {name}, good for a day at /enter", secret=code)

    @blueprint.post("/accounts/code")
    @need(Level.ADMIN, whole=True, person=True, fresh=True)
    def new_code() -> ResponseReturnValue:
        name = _field("name")
        code = access.new_code(who(), name, forget_factor=_field("factor") == "forget")
        return shown(access, once=f"one-time code of {name}, good for a day at /enter", secret=code)

    @blueprint.post("/accounts/grants")
    @need(Level.ADMIN, whole=True, person=True, fresh=True)
    def grants() -> ResponseReturnValue:
        access.set_grants(who(), _field("name"), _grants(_field("grants")))
        return _back("grants")

    @blueprint.post("/accounts/disable")
    @need(Level.ADMIN, whole=True, person=True, fresh=True)
    def disable() -> ResponseReturnValue:
        access.disable(who(), _field("name"), disabled=_field("disabled") == "yes")
        return _back("account")

    @blueprint.post("/accounts/sessions")
    @need(Level.ADMIN, whole=True, person=True, fresh=True)
    def end_sessions() -> ResponseReturnValue:
        access.end_sessions(who(), _field("name"))
        return _back("ended-all")


SAID = {
    "ended-all": "All sessions of that account are over.",
    "ended": "That session is over.",
    "totp-on": "The second factor is needed from the next login on.",
    "totp-off": "The second factor is off.",
    "revoked": "That token is good for nothing any more.",
    "grants": "The grants are changed, from the next click on.",
    "account": "Done.",
}


def shown(access: Access, *, once: str = "", secret: str = "") -> ResponseReturnValue:
    """The page; with what is shown only this once, if an order made something."""
    asking = who()
    admin = asking.may(Level.ADMIN)
    accounts = access.accounts()
    return render_template(
        "settings.html",
        me=asking,
        mine=next((each for each in accounts if each.name == asking.account), None),
        accounts=accounts if admin else [],
        tokens=access.api_tokens("" if admin else asking.account),
        sessions=access.sessions(asking.account),
        said=SAID.get(request.args.get("said", ""), ""),
        once=once,
        secret=secret,
        most_days=TOKEN_DAYS,
    )


def _has_password(access: Access, asking: Principal) -> None:
    mine = next((each for each in access.accounts() if each.name == asking.account), None)
    if mine is None or not mine.has_password:
        raise OperatorError(
            "a second factor goes with a password, which this account does not have",
            fix="make an account of your own: cto user add",
        )


def _grants(text: str) -> list[Grant]:
    found = [Grant.parse(word) for word in text.split()]
    if not found:
        raise OperatorError("no grant is named", fix="write viewer, operator:site=berlin or admin")
    return found


def _field(name: str) -> str:
    return request.form.get(name, "")[:_MAX]


def _back(said: str) -> ResponseReturnValue:
    return redirect(f"/settings?said={said}", 303)
