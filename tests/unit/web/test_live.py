"""Server-sent events over a real server and a real connection."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from web.live import MOST_LISTENERS, Broadcaster, Fingerprints

WAIT = 10  # seconds; only a broken test waits that long


@asynccontextmanager
async def listening(base, host=None, cookie=None):
    """Status line, headers and a reader of the next message of `/live`."""
    parts = urlsplit(base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    name, value = cookie or base.cookie
    request = f"GET /live HTTP/1.1\r\nHost: {host or parts.netloc}\r\nCookie: {name}={value}\r\n\r\n"
    writer.write(request.encode())
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


async def test_nobody_listens_without_a_session(served):
    for cookie in (("cto", "x"), (served.cookie[0], "made-up"), (served.cookie[0], "")):
        async with listening(served, cookie=cookie) as (head, _):
            assert "401" in head.splitlines()[0]


async def test_a_listener_whose_session_ends_is_let_go(queries):
    """At the next beat, without a word."""
    broadcaster = Broadcaster(queries, poll=0.01, beat=0.01)
    answers = iter([True, True, False])
    asked = []

    async def receive():
        await asyncio.Event().wait()

    async def ignore(_message):
        await asyncio.sleep(0)

    def welcome():
        asked.append(next(answers))
        return asked[-1]

    await asyncio.wait_for(broadcaster.serve(receive, ignore, welcome=welcome), WAIT)
    assert asked == [True, True, False]
    assert broadcaster.listeners == 0


async def test_pages_and_live_share_one_server(served):
    parts = urlsplit(served)
    async with listening(served) as (_, message):
        await message()
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(
            f"GET /api/v1/fleet HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {'='.join(served.cookie)}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(), WAIT)
        assert b"berlin-cp-1" in answer
        writer.close()


async def test_two_hundred_open_pages_starve_nobody(served, queries):
    parts = urlsplit(served)
    name, value = served.cookie
    head = f"Host: {parts.netloc}\r\nCookie: {name}={value}\r\n"
    streams = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(200)]
    for _, writer in streams:
        writer.write(f"GET /live HTTP/1.1\r\n{head}\r\n".encode())
    for reader, _ in streams:
        assert b"200" in await asyncio.wait_for(reader.readline(), 60)
    queries.change("berlin-cp-2", done=9_000_000)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET / HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 200")
    for _, each in (*streams, (reader, writer)):
        each.close()


async def test_who_sends_slowly_keeps_nobody_waiting(served):
    """More half requests than there are threads, and another visitor still gets an answer."""
    parts = urlsplit(served)
    slow = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(20)]
    for _, writer in slow:
        writer.write(
            f"POST /login HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 1000\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a".encode()
        )
        await writer.drain()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET /login HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 200")
    for _, other in (*slow, (None, writer)):
        other.close()


async def test_a_body_that_is_too_long_is_refused_while_it_comes(served):
    parts = urlsplit(served)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"POST /login HTTP/1.1\r\nHost: {parts.netloc}\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
    )
    chunk = b"a" * 65_536
    for _ in range(40):
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    status = await asyncio.wait_for(reader.readline(), 60)
    assert status.split()[1] in (b"413", b"400", b"401", b"408")
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
    prints = Fingerprints(queries)
    before = prints.latest()
    assert prints.latest() == before
    queries.change("berlin-cp-1", **fields)
    assert prints.latest() != before


async def test_what_is_done_for_each_of_two_hundred_is_a_write(queries):
    """They get the same bytes, made once, and no task is made for a message."""
    gone, sent, broadcaster = asyncio.Event(), [], Broadcaster(queries, poll=0.01)

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def keep(message):
        if b"data: " in message.get("body", b""):
            sent.append(message["body"])
        await asyncio.sleep(0)

    async def until(count):
        async with asyncio.timeout(60):
            while len(sent) < count:
                await asyncio.sleep(0.01)

    listeners = [asyncio.create_task(broadcaster.serve(receive, keep)) for _ in range(200)]
    await until(200)
    tasks = len(asyncio.all_tasks())
    queries.change("berlin-cp-2", done=9_000_000)
    await until(400)
    assert len({id(body) for body in sent[200:]}) == 1
    assert len(set(sent)) == 2
    assert len(asyncio.all_tasks()) <= tasks + 1
    gone.set()
    await asyncio.wait_for(asyncio.gather(*listeners), 60)
    assert broadcaster.listeners == 0
