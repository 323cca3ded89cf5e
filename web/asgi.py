"""The ASGI application: live updates natively, every other request through Flask in a thread pool."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import datetime
from typing import Any

from a2wsgi import WSGIMiddleware
from werkzeug.sansio.utils import host_is_trusted

from web.app import LOOPBACK_HOSTS, create_app
from web.live import Broadcaster, Message, Receive, Send, plain_answer
from web.ports import Queries

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LIVE_PATH = "/live"


def build(
    queries: Queries,
    *,
    clock: Callable[[], datetime],
    hosts: Sequence[str] = LOOPBACK_HOSTS,
    threads: int = 4,
) -> AsgiApp:
    """What uvicorn runs. Each of the `threads` reads through `queries`, which must allow that."""
    pages: Any = create_app(queries, clock=clock, hosts=hosts)  # Any: the two libraries type WSGI differently
    flask: Any = WSGIMiddleware(pages, workers=threads)
    broadcaster = Broadcaster(queries)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, broadcaster)
        elif scope["type"] == "http" and scope["path"] == LIVE_PATH:
            if not host_is_trusted(_host(scope), hosts):
                await plain_answer(send, 400, b"unknown host name\n")
            else:
                await broadcaster.serve(receive, send)
        elif scope["type"] == "http":
            await flask(scope, receive, send)

    return app


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


async def _lifespan(receive: Receive, send: Send, broadcaster: Broadcaster) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await broadcaster.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
