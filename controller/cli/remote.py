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
