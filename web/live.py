"""Server-sent events: tells open pages that something changed, and nothing else.

One task polls the store for all listeners, only while there are any. A message is a few numbers; the
page then fetches what it shows, so that there is one way in which content is made and escaped.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from web.headers import SECURITY_HEADERS
from web.ports import ClusterView, NodeView, Queries

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

POLL_SECONDS = 0.25
BEAT_SECONDS = 15.0  # a comment line, so that a dead connection is noticed by both ends
MOST_LISTENERS = 256
_REST = 9  # looking takes at most a tenth of a core
_BEAT = b": beat\n\n"
_EACH = 0.05  # seconds; so that all open pages together ask at most twenty times a second


class Broadcaster:
    """Polls for change and wakes every listener. The latest state wins; nobody has a backlog. All wait for
    the same future and get the same bytes: what is done for each of them is the write.
    """

    def __init__(self, queries: Queries, *, poll: float = POLL_SECONDS, beat: float = BEAT_SECONDS) -> None:
        self._fingerprints, self._poll, self._beat = Fingerprints(queries), poll, beat
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._latest, self._message = "", _BEAT
        self._news: asyncio.Future[None] | None = None  # done when there is another message

    @property
    def listeners(self) -> int:
        return self._listeners

    async def serve(self, receive: Receive, send: Send, *, welcome: Callable[[], bool] | None = None) -> None:
        """One listener, from its request until it goes away, or is not welcome any more (asked at each beat,
        in a thread).
        """
        if self._listeners >= MOST_LISTENERS:
            await plain_answer(send, 503, b"too many open pages\n")
            return
        self._listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await _start(send)
            await self._feed(gone, send, welcome)
            await send({"type": "http.response.body", "body": b""})  # its end, where somebody is still there
        finally:
            gone.cancel()
            self._listeners -= 1
            if not self._listeners:
                await self.close()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _feed(self, gone: "asyncio.Task[None]", send: Send, welcome: Callable[[], bool] | None) -> None:
        loop = asyncio.get_running_loop()
        sent, asked = _BEAT, loop.time()
        while not gone.done():
            now = loop.time()
            if welcome is not None and now - asked >= self._beat:
                asked = now
                if not await asyncio.to_thread(welcome):
                    return
            message = self._message
            body = _BEAT if message is sent else message
            sent = message
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if sent is self._message:  # there may be another since
                news = self._next(loop)
                await asyncio.wait({news, gone}, timeout=self._beat, return_when=asyncio.FIRST_COMPLETED)

    def _next(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
        if self._news is None:
            self._news = loop.create_future()
        return self._news

    async def _watch(self) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            try:
                latest = await asyncio.to_thread(self._fingerprints.latest)
            except Exception as error:  # noqa: BLE001 - a store that can't be read now is news, not the end
                latest = json.dumps({"error": type(error).__name__})
            if latest != self._latest:
                self._latest, self._message = latest, f"data: {latest}\n\n".encode()
                news, self._news = self._news, None
                if news is not None:
                    news.set_result(None)
            took = asyncio.get_running_loop().time() - began
            # A large fleet is looked at less often, and many pages, which will all ask, are told less often.
            await asyncio.sleep(max(self._poll, took * _REST, self._listeners * _EACH))


class Fingerprints:
    """Small JSON that changes when the page would: the last event, and a digest of states and progress."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._of: tuple[object, object] = (None, None)
        self._digest = ""

    def latest(self) -> str:
        nodes, clusters = self._queries.nodes(), self._queries.clusters()
        if not (isinstance(nodes, tuple) and nodes is self._of[0] and clusters is self._of[1]):
            self._of, self._digest = (nodes, clusters), _digest(nodes, clusters)
        return json.dumps({"event": self._queries.last_event_id(), "version": self._digest})


def _digest(nodes: Sequence[NodeView], clusters: Sequence[ClusterView]) -> str:
    parts: list[object] = [(n.name, n.state, n.step, n.done, n.problem, n.seen_at) for n in nodes]
    parts += [(c.name, c.state, c.problem, c.verified_at) for c in clusters]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
    headers += [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def plain_answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    headers += [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
