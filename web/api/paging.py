"""Pages of lists: `next` is the cursor of the following one, and empty at the end. Reads nothing itself.

A cursor names the last thing that was given out, so that nothing is left out while things come and go.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from inventory.errors import UnknownName
from web.api.operations import Strict

T = TypeVar("T")
MOST, USUAL = 500, 100


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str = Field(description="The cursor of the next page; empty at the end.")


class PageParams(Strict):
    cursor: str = Field(
        default="", max_length=256, description="`next` of the page before; empty: the first."
    )
    limit: int = Field(default=USUAL, ge=1, le=MOST)


def by_name(items: Sequence[T], params: PageParams, key: Callable[[T], str]) -> tuple[list[T], str]:
    """By name, after the cursor; also after one that is gone since."""
    return cut(sorted((item for item in items if key(item) > params.cursor), key=key), params, key)


def in_order(items: Sequence[T], params: PageParams, key: Callable[[T], str]) -> tuple[list[T], str]:
    """In the order that they have, which must be one in which nothing moves."""
    if not params.cursor:
        return cut(items, params, key)
    for place, item in enumerate(items, 1):
        if key(item) == params.cursor:
            return cut(items[place : place + params.limit + 1], params, key)
    raise UnknownName(f"there is no {params.cursor[:60]!r} to go on from", fix="begin without a cursor")


def cut(found: Sequence[T], params: PageParams, key: Callable[[T], str]) -> tuple[list[T], str]:
    """`found` begins after the cursor, and is longer than the limit if there is another page."""
    shown = list(found[: params.limit])
    return shown, key(shown[-1]) if len(found) > len(shown) else ""
