"""Coming and going: login by password, by a one-time code, and logout. `Access` recognizes people."""

import logging

from flask import Blueprint, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError
from web.access.guard import Guard, checked_next, known, open_to_all, source
from web.access.ports import Access, NotRecognized, TooManyTries

_MAX_FIELD = 300
log = logging.getLogger(__name__)


def make(access: Access, guard: Guard) -> Blueprint:
    """The blueprint, bound to who recognizes people and to the guard that keeps the cookie."""
    blueprint = Blueprint("login", __name__)
    _by_password(blueprint, access, guard)
    _by_code(blueprint, access, guard)
    return blueprint


def _by_password(blueprint: Blueprint, access: Access, guard: Guard) -> None:
    @blueprint.get("/login")
    @open_to_all
    def page() -> ResponseReturnValue:
        if known() is not None:
            return redirect(checked_next(request.args.get("next", "")), 303)
        return render_template("login.html", then=checked_next(request.args.get("next", "")))

    @blueprint.post("/login")
    @open_to_all
    def login() -> ResponseReturnValue:
        then = checked_next(_field("next"))
        try:
            made = access.login(_field("name"), _field("password"), _field("totp"), source=source())
        except (NotRecognized, TooManyTries) as error:
            return _again("login.html", error, then=then, name=_field("name"))
        return guard.open(make_response(redirect(then, 303)), made)

    @blueprint.post("/logout")
    @open_to_all
    def logout() -> ResponseReturnValue:
        answer = guard.close(make_response(redirect("/login", 303)))
        answer.headers["Clear-Site-Data"] = '"storage"'
        return answer


def _by_code(blueprint: Blueprint, access: Access, guard: Guard) -> None:
    @blueprint.get("/enter")
    @open_to_all
    def enter_page() -> ResponseReturnValue:
        """The code is in the fragment, which browsers keep to themselves; a script puts it into the form."""
        return render_template("enter.html", logged_in=known() is not None)

    @blueprint.post("/enter")
    @open_to_all
    def enter() -> ResponseReturnValue:
        try:
            if access.code_for(_field("code"), source=source()) == "password":
                return render_template("password.html", code=_field("code"))
            made = access.enter(_field("code"), source=source())
        except (NotRecognized, TooManyTries) as error:
            return _again("enter.html", error, logged_in=known() is not None)
        return guard.open(make_response(redirect("/", 303)), made)

    @blueprint.post("/enter/password")
    @open_to_all
    def choose() -> ResponseReturnValue:
        code, password = _field("code"), _field("password")
        if password != _field("again"):
            differ = OperatorError("the two passwords differ", fix="type the same one twice")
            return _again("password.html", differ, code=code)
        try:
            made = access.choose_password(code, password, source=source())
        except OperatorError as error:
            return _again("password.html", error, code=code)
        return guard.open(make_response(redirect("/settings", 303)), made)


def _field(name: str) -> str:
    return request.form.get(name, "")[:_MAX_FIELD]


def _again(template: str, error: OperatorError, **values: object) -> ResponseReturnValue:
    answer = make_response(render_template(template, error=error, **values))
    answer.status_code = 400
    if isinstance(error, TooManyTries):
        log.warning("refused tries at %s from %s: too many", request.path, source())
        answer.status_code = 429
        answer.headers["Retry-After"] = str(error.seconds)
    elif isinstance(error, NotRecognized):
        answer.status_code = 401
    return answer
