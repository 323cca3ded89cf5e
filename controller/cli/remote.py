"""The services of another controller, for commands that read, and the few orders that go over the API."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inventory.errors import OperatorError

if TYPE_CHECKING:
    from controller.adapters.http_queries import HttpQueries


# What `--server` does, command by command; a test walks the whole tree and tries each of these.
FROM_AFAR = frozenset(
    {
        "cluster show",
        "enroll approve",
        "enroll list",
        "enroll reject",
        "events",
        "facts diff",
        "facts show",
        "node list",
        "node show",
        "rollout abort",
        "rollout approve",
        "rollout cancel",
        "rollout history",
        "rollout pause",
        "rollout resume",
        "rollout status",
        "rollout withdraw",
        "status",
        "window approve",
        "window cancel",
        "window freeze",
        "window override",
        "window unfreeze",
    }
)
# What is about files of this computer, whatever server is named: it neither reads a fleet nor changes one.
_ABOUT_NO_FLEET = frozenset({"completion", "render", "schema", "validate"})


def must_work_from_afar(command: str) -> None:
    """Raises OperatorError for a command that would act on this computer's own fleet instead."""
    if command in FROM_AFAR or command in _ABOUT_NO_FLEET:
        return
    raise OperatorError(
        f"`cto {command}` works on the controller's own computer only",
        fix=f"log in there, or leave --server out; with it go: {', '.join(sorted(FROM_AFAR))}",
    )


class _Now:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now


class RemoteServices:
    remote = True  # the engine is elsewhere, and takes what was ordered

    def __init__(self, queries: "HttpQueries", now: Callable[[], datetime]) -> None:
        from controller.adapters.http_orders import HttpOrders

        self.queries, self.store = queries, HttpOrders(queries)
        self.clock = _Now(now)

    def new_id(self) -> str:
        return secrets.token_hex(8)

    def clock_synchronized(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        raise OperatorError(
            "this command works on the controller's own computer only",
            fix="log in there, or use the pages or the API; --server reads: status, events, node list, …",
        )


def opener(
    url: str, environ: Mapping[str, str], now: Callable[[], datetime]
) -> Callable[[Path | None], AbstractContextManager[Any]]:
    """For `App.open_services`. The token is never an argument: other users see those."""

    @contextmanager
    def opened(_home: Path | None) -> Iterator[RemoteServices]:
        from controller.adapters.http_queries import HttpQueries, Server

        server = Server(url, environ.get("CTO_TOKEN", "").strip(), environ.get("CTO_FINGERPRINT", ""))
        queries = HttpQueries(server)
        try:
            yield RemoteServices(queries, now)
        finally:
            queries.close()

    return opened
