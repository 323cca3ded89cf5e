"""Errors of the API as RFC 9457 "problem+json": what happened, and what to do next. No HTML."""

import json

from flask import Response
from pydantic import BaseModel, Field


class Problem(BaseModel):
    """`type` is stable and made for programs; `title` and `fix` are for people."""

    type: str = Field(description="A URN that names the kind of problem.")
    title: str
    status: int
    fix: str = Field(default="", description="What to do next.")


def problem(status: int, *, slug: str, what: str, fix: str = "") -> Problem:
    return Problem(type=f"urn:cto:problem:{slug}", title=what, status=status, fix=fix)


def response(status: int, *, slug: str, what: str, fix: str = "") -> Response:
    found = problem(status, slug=slug, what=what, fix=fix)
    return Response(json.dumps(found.model_dump()), status, mimetype="application/problem+json")
