"""One operation of the API: what it takes and gives, who may, and the Flask view that is made from it.

One declaration makes the view and the description, so that they can't come to differ. Holds no operation.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, TypeAdapter, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from inventory.errors import FleetError, OperatorError, RefusedError
from web.access.grants import Level
from web.access.guard import need, who
from web.access.ports import Access, Reply

PREFIX = "/api/v1"
IDEMPOTENCY = "Idempotency-Key"


class Strict(BaseModel, extra="forbid"):
    """Parameters and bodies: what is not known is an error and not overlooked."""


class NoParams(Strict):
    """An operation without parameters."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str  # as Flask writes it, below PREFIX
    name: str
    summary: str
    level: Level
    answer: Any  # a type that pydantic can describe
    call: Callable[..., Any] = field(repr=False)
    params: type[Strict] = NoParams
    body: type[Strict] | None = None
    whole: bool = False
    person: bool = False  # not by a token
    fresh: bool = False  # of a session, only shortly after its login
    secret: bool = False  # the answer holds one, so it is told once and kept nowhere
    status: int = 200

    @property
    def writes(self) -> bool:
        return self.method != "GET"


class Operations:
    """All of them; each is added by a decorator."""

    def __init__(self, access: Access) -> None:
        self.all: list[Operation] = []
        self._access = access

    def add(
        self, method: str, path: str, **declared: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def mark(call: Callable[..., Any]) -> Callable[..., Any]:
            summary = " ".join((call.__doc__ or "").split())
            self.all.append(Operation(method, path, call.__name__, summary, call=call, **declared))
            return call

        return mark

    def register(self, blueprint: Blueprint) -> None:
        for operation in self.all:
            rule = need(
                operation.level, whole=operation.whole, person=operation.person, fresh=operation.fresh
            )
            view = rule(self._view(operation))
            blueprint.add_url_rule(PREFIX + operation.path, operation.name, view, methods=[operation.method])

    def _view(self, operation: Operation) -> Callable[..., Response]:
        adapter: TypeAdapter[Any] = TypeAdapter(operation.answer)

        def view(**path: str) -> Response:
            given: dict[str, Any] = {**path}
            params = _checked(operation.params, _query())
            if operation.params is not NoParams:
                given["params"] = params
            if operation.body is not None:
                given["body"] = _checked(operation.body, _json_body())
            if not operation.writes:
                return _said(operation.status, _dump(adapter, operation.call(**given)))
            return self._once(operation, adapter, given)

        return view

    def _once(self, operation: Operation, adapter: TypeAdapter[Any], given: dict[str, Any]) -> Response:
        """With an idempotency key, the same request gets the same answer, and is done once."""
        key = request.headers.get(IDEMPOTENCY, "")
        if not key:
            return _said(operation.status, _dump(adapter, operation.call(**given)))
        body = request.get_data(cache=True)
        digest = hashlib.sha256(f"{request.method} {request.full_path}\n".encode() + body).hexdigest()
        earlier = self._access.reply(who(), key, digest)
        if earlier is not None and operation.secret:
            raise RefusedError(
                "this was done before, and its answer is kept nowhere: it held a secret",
                fix="take back what was made, and make another with another key",
            )
        if earlier is not None:
            return _said(earlier.status, earlier.body)
        try:
            text = _dump(adapter, operation.call(**given))
        except BaseException:
            self._access.keep_reply(who(), key, None)
            raise
        self._access.keep_reply(who(), key, Reply(operation.status, "" if operation.secret else text))
        return _said(operation.status, text)


def _checked(model: type[Strict], given: Any) -> Any:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise OperatorError(
            f"{where}: {first['msg']}"[:300], fix=f"see {PREFIX}/openapi.json for what is asked for"
        ) from None


def _query() -> dict[str, str]:
    """Each parameter once: of two, another program might have believed the other."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise OperatorError(f"{name[:60]!r} is given {len(values)} times", fix="give it once")
    return dict(request.args)


def _json_body() -> Any:
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    try:
        # Python's own reader takes NaN; nothing that reads our answers would.
        return json.loads(request.get_data(), parse_constant=_no_number, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise OperatorError("the body is not JSON", fix="send one JSON object") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _no_number(text: str) -> float:
    raise ValueError(text)


def _dump(adapter: TypeAdapter[Any], value: Any) -> str:
    try:
        return adapter.dump_json(adapter.validate_python(value, from_attributes=True)).decode()
    except ValueError as error:  # a surrogate from a machine
        raise FleetError("this can't be written as JSON", fix="report this") from error


def _said(status: int, text: str) -> Response:
    return Response(text, status, mimetype="application/json")
