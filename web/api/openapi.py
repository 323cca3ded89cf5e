"""The OpenAPI 3.1 description, made from the declared operations and their models. Serves nothing."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from web.api.operations import IDEMPOTENCY, PREFIX, Operation
from web.api.problems import Problem

_REF = "#/components/schemas/{model}"
_ALWAYS = {
    400: "The request is not as described.",
    401: "Nobody is logged in, or the token is not good.",
    403: "There is no grant for this.",
    404: "There is nothing of this name, or nothing that they may see.",
    503: "The store can't be read or written now.",
}
_WRITES = {
    409: "The rules do not allow it, or the same request is under way.",
    413: "The body is too large.",
    415: "The body is not JSON.",
}

LIVE = f"{PREFIX}/live"


def describe(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """A whole document."""
    answers = [(op.name, "serialization", TypeAdapter(op.answer)) for op in operations]
    bodies = [(op.name, "validation", TypeAdapter(op.body)) for op in operations if op.body]
    problem: Any = ("problem", "serialization", TypeAdapter(Problem))
    inputs: Any = [*answers, *bodies, problem]
    schemas, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    paths: dict[str, Any] = {}
    for op in operations:
        path = PREFIX + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", op.path)
        paths.setdefault(path, {})[op.method.lower()] = _operation(op, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Platform-in-a-Box controller",
            "version": version,
            "description": "What the pages show and order, for programs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": {**paths, LIVE: {"get": _live()}},
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "cto apitoken create"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-cto",
                    "description": "A browser's session; writes also need the header X-CSRF-Token.",
                },
            },
        },
    }


def _operation(op: Operation, schemas: Any) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": schemas["problem", "serialization"]}}
    answer = {"application/json": {"schema": schemas[op.name, "serialization"]}}
    statuses = {**_ALWAYS, **(_WRITES if op.writes else {})}
    found: dict[str, Any] = {
        "operationId": op.name,
        "summary": op.summary,
        "description": f"Needs the grant {op.level.word}{' for the whole fleet' if op.whole else ''}"
        + (", and a session: tokens don't do this." if op.person else "."),
        "parameters": [*_path_parameters(op), *_query_parameters(op)],
        "responses": {
            str(op.status): {"description": "Done." if op.writes else "Found.", "content": answer},
            **{str(code): {"description": text, "content": problem} for code, text in statuses.items()},
        },
    }
    if op.body is not None:
        schema = schemas[op.name, "validation"]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _path_parameters(op: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"<(?:\w+:)?(\w+)>", op.path)
    ]


def _query_parameters(op: Operation) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "query", "required": False, "schema": _inline(name, op)}
        for name in op.params.model_fields
    ]
    if op.writes:
        key = {"type": "string", "minLength": 8, "maxLength": 128, "pattern": "^[!-~]+$"}
        text = "The same key and request are done once and answered alike for a day."
        found.append(
            {"name": IDEMPOTENCY, "in": "header", "required": False, "description": text, "schema": key}
        )
    return found


def _inline(name: str, op: Operation) -> dict[str, Any]:
    whole = op.params.model_json_schema()
    found: dict[str, Any] = whole["properties"][name]
    return found


def _live() -> dict[str, Any]:
    """Written by hand: `web.live` answers it, which is no operation and speaks no JSON."""
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    refused = {
        400: "The host's name is not known here.",
        401: "Nobody is logged in, or the token is not good.",
        503: "Too many listen already.",
    }
    return {
        "operationId": "watch",
        "summary": "A stream of server-sent events: one after each change.",
        "description": (
            'Needs any grant. Each message is `data: {"event": ID, "version": DIGEST}`: the newest event, and'
            f' a digest of all states; or `{{"error": KIND}}`. Then ask `{PREFIX}/events?after=ID`. The'
            " first message says how things are now, hence `Last-Event-ID` is passed over: what came"
            f" while nobody listened is at `{PREFIX}/events`. A comment line every 15 seconds shows that the"
            " connection stands. The stream ends when the login or the token does."
        ),
        "parameters": [],
        "responses": {
            "200": {"description": "The stream.", "content": stream},
            **{str(code): {"description": why, "content": text} for code, why in refused.items()},
        },
    }
