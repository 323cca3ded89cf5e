"""Server-sent events over a real server and a real connection."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from web.live import MOST_LISTENERS, Broadcaster, fingerprint

WAIT = 10  # seconds; only a broken test waits that long


@asynccontextmanager
async def listening(base, host=None):
    """Status line, headers and a reader of the next message of `/live`."""
    parts = urlsplit(base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET /live HTTP/1.1\r\nHost: {host or parts.netloc}\r\n\r\n".encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT)).decode()

    async def message():
        while True:
            line = (await asyncio.wait_for(reader.readline(), WAIT)).decode()
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))

    try:
        yield head, message
    finally:
        writer.close()


async def test_a_change_reaches_every_listener(served, queries):
    async with listening(served) as (head, one), listening(served) as (_, two):
        assert "200 OK" in head
        assert "text/event-stream" in head
        assert "frame-ancestors 'none'" in head
        first = await one()
        assert first["event"] == 4
        assert await two() == first
        queries.change("berlin-cp-2", done=9_000_000)
        second = await one()
        assert second["version"] != first["version"]
        assert await two() == second


async def test_a_store_that_can_not_be_read_is_news_and_passes(served, queries):
    async with listening(served) as (_, message):
        await message()
        good = queries.nodes

        def broken():
            raise OSError("disk")

        queries.nodes = broken
        assert await message() == {"error": "OSError"}
        queries.nodes = good
        assert "version" in await message()


async def test_other_host_names_are_refused(served):
    async with listening(served, host="evil.example") as (head, _):
        assert "400" in head.splitlines()[0]


async def test_pages_and_live_share_one_server(served):
    parts = urlsplit(served)
    async with listening(served) as (_, message):
        await message()
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(
            f"GET /api/v1/fleet HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(), WAIT)
        assert b"berlin-cp-1" in answer
        writer.close()


async def test_nobody_listens_nobody_polls(queries):
    calls = []
    count = queries.last_event_id
    queries.last_event_id = lambda: calls.append(1) or count()
    broadcaster = Broadcaster(queries, poll=0.001)
    gone = asyncio.Event()
    sent = asyncio.Queue()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    listener = asyncio.create_task(broadcaster.serve(receive, sent.put))
    while b"data: {" not in (await asyncio.wait_for(sent.get(), WAIT)).get("body", b""):
        pass
    gone.set()
    await asyncio.wait_for(listener, WAIT)
    assert broadcaster.listeners == 0
    before = len(calls)
    await asyncio.sleep(0.02)
    assert len(calls) == before


async def test_listeners_are_limited(queries):
    broadcaster = Broadcaster(queries, poll=0.01)
    gone = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def ignore(_message):
        await asyncio.sleep(0)

    listeners = [asyncio.create_task(broadcaster.serve(receive, ignore)) for _ in range(MOST_LISTENERS)]
    while broadcaster.listeners < MOST_LISTENERS:
        await asyncio.sleep(0)
    answers = []

    async def keep(message):
        answers.append(message)

    await broadcaster.serve(receive, keep)
    assert answers[0]["status"] == 503
    gone.set()
    await asyncio.wait_for(asyncio.gather(*listeners), WAIT)


@pytest.mark.parametrize(
    "fields", [{"done": 1}, {"state": "imaged"}, {"problem": "x"}, {"seen_at": "2026-03-02T12:00:00Z"}]
)
def test_the_fingerprint_follows_what_is_shown(queries, fields):
    before = fingerprint(queries)
    assert fingerprint(queries) == before
    queries.change("berlin-cp-1", **fields)
    assert fingerprint(queries) != before
