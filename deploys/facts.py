"""Our facts as pyinfra facts: `host.get_fact(fact_class(disks.FACT))` in a deploy gives the same model.

Only the adapter: commands and parsers are the spec's, framing is `facts.script`'s. A fact that can't be
read raises FactError with its reason, in place of pyinfra's silent default.
"""

import secrets
from functools import cache
from typing import Any, TypeVar, cast

from pyinfra.api.facts import FactBase

from facts.script import build, read, split
from facts.spec import FactSpec

T = TypeVar("T")


def fact_class(spec: FactSpec[T]) -> type[FactBase[T]]:
    """The pyinfra fact of one spec; the same class for the same spec."""
    return cast("type[FactBase[T]]", _fact_class(spec))


@cache
def _fact_class(spec: FactSpec[Any]) -> type[FactBase[Any]]:
    boundary = secrets.token_hex(16)

    class Fact(FactBase[Any]):
        def command(self) -> str:
            """The framed script exits 0 whatever the command does, so pyinfra lets us see the answer."""
            return build([spec], boundary=boundary)

        def process(self, output: list[str]) -> Any:
            # pyinfra gives lines without their ends, and no standard error.
            raw = split("\n".join(("", *output, "")).encode(), [spec], boundary).get(spec.name)
            return read(spec, raw)

    Fact.__name__ = Fact.__qualname__ = spec.name.title().replace("_", "")
    return Fact
