"""The ASGI application: live updates natively, every other request through Flask in a thread pool."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from a2wsgi import WSGIMiddleware
from werkzeug.sansio.utils import host_is_trusted

from web.access.cookies import cookie_name, cookie_of
from web.access.ports import Access
from web.app import LOOPBACK_HOSTS, MAX_BODY, create_app
from web.backend import Backend
from web.live import Broadcaster, Message, Receive, Send, plain_answer

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODY_SECONDS = 15.0
LIVE_PATHS = frozenset({"/live", "/api/v1/live"})


def build(
    backend: Backend,
    *,
    hosts: Sequence[str] = LOOPBACK_HOSTS,
    secure: bool = False,
    threads: int = 8,
    ending: asyncio.Event | None = None,
) -> AsgiApp:
    """What uvicorn runs. Each of the `threads` reads through the ports, which must allow that. When `ending`
    is set, event streams end and nobody is waited for who has not sent all of a request.
    """
    over = ending or asyncio.Event()
    pages: Any = create_app(
        backend, hosts=hosts, secure=secure
    )  # Any: the two libraries type WSGI differently
    flask: Any = WSGIMiddleware(pages, workers=threads)
    broadcaster = Broadcaster(backend.queries)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, broadcaster)
        elif scope["type"] == "http" and scope["path"] in LIVE_PATHS:
            await _live(scope, _until(over, receive), send)
        elif scope["type"] == "http":
            await _page(flask, scope, _until(over, receive), send)

    async def _live(scope: Scope, receive: Receive, send: Send) -> None:
        if not host_is_trusted(_header(scope, b"host"), hosts):
            await plain_answer(send, 400, b"unknown host name\n")
            return
        welcome = _welcome(scope, backend.access, secure=secure)
        if scope["method"] != "GET":
            await plain_answer(send, 405, b"only GET\n")
        elif not await asyncio.to_thread(welcome):
            await plain_answer(send, 401, b"log in first\n")
        else:
            await broadcaster.serve(receive, send, welcome=welcome)

    return app


async def _page(flask: Any, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        whole = await asyncio.wait_for(_whole(scope, receive), _BODY_SECONDS)
    except TimeoutError:
        await plain_answer(send, 408, b"the request did not come to its end\n")
        return
    if whole and whole[-1]["type"] == "http.disconnect":
        await plain_answer(send, 503, b"the request did not come to its end\n")
    else:
        await flask(scope, _replayed(whole, receive), send)


def _until(over: asyncio.Event, receive: Receive) -> Receive:
    """As if the other end went away when all is over."""

    async def next_message() -> Message:
        asked, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else {"type": "http.disconnect"}
        finally:
            asked.cancel()
            ended.cancel()

    return next_message


async def _whole(scope: Scope, receive: Receive) -> list[Message]:
    """The request's body before a thread is spent on it: who sends slowly keeps nobody else waiting. Of one
    that is too long Flask sees only the length, and refuses it.
    """
    if scope["method"] in ("GET", "HEAD"):
        return []
    messages: list[Message] = []
    size, more = 0, True
    while more and size <= MAX_BODY:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    return messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def again() -> Message:
        found = next(waiting, None)
        return await receive() if found is None else found

    return again


def _welcome(scope: Scope, access: Access, *, secure: bool) -> Callable[[], bool]:
    """Whether whoever asks has a session or a token that is good now. The numbers sent tell of no site."""
    name = cookie_name(_header(scope, b"host"), secure=secure)
    cookie = cookie_of(_header(scope, b"cookie"), name)
    scheme, _, token = _header(scope, b"authorization").partition(" ")
    source = (scope.get("client") or ("unknown",))[0]

    def ask() -> bool:
        if scheme.lower() == "bearer":
            found = access.bearer(token.strip(), source=source)
        else:
            found = access.recognize(cookie, source=source, look=True)
        return found is not None and found.highest is not None and not found.owes_factor

    return ask


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


async def _lifespan(receive: Receive, send: Send, broadcaster: Broadcaster) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await broadcaster.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
