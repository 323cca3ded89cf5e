"""The controller's own daily look at the release feed: when, what it brings, and that its failure is only shown."""

import asyncio
import json
import shutil
import socket
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app import updates
from controller.app.feed_looks import next_look, tick
from controller.app.serve import _KEEPERS
from controller.core.topics import topic_of
from controller.store.updates import Feed
from controller.wiring import open_services

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class MovedClock:
    """The real one, some hours ahead."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return datetime.now(UTC) + self.ahead

    def monotonic(self):
        return self.now().timestamp()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


@pytest.fixture
def controller(home):
    """The controller of a home that accepted its feed a moment ago."""
    with open_services(home) as wiring:
        wiring.__dict__["clock"] = MovedClock()
        wiring.clock.ahead = timedelta()
        yield wiring


def kinds(services):
    return [event.kind for event in services.queries.events()]


def after(services, hours):
    services.clock.ahead += timedelta(hours=hours)


def look(services):
    return asyncio.run(tick(services))


def follow(services, feed, cto):
    """The home takes its releases from the copy that this test goes on with."""
    words = ("update", "trust", feed.first_root, "--url", feed.folder, "--yes")
    assert cto(*words).code == 0
    asyncio.run(updates.check_beside(services))


def test_once_a_day_and_what_is_new_is_told(controller, feed, cto):
    follow(controller, feed, cto)
    assert not look(controller)
    feed.release("1.14.1", 3)
    feed.publish()
    after(controller, 21)
    assert not look(controller)
    after(controller, 6)
    assert look(controller)
    assert updates.known(controller)[0].release.name == "talos-1.14.1"
    assert kinds(controller).count("ReleaseSeen") == 3
    assert controller.store.feed().problem == ""
    assert not look(controller)


def test_the_first_look_comes_without_being_asked_for(controller, feed, cto):
    assert (
        cto("update", "trust", feed.first_root, "--url", feed.folder, "--channel", "beta", "--yes").code == 0
    )
    assert controller.store.feed().checked_at == ""
    assert look(controller)
    assert controller.store.feed().checked_at


def test_a_failure_is_shown_told_once_and_tried_again(controller, feed, cto, tmp_path):
    follow(controller, feed, cto)
    shutil.move(feed.folder, tmp_path / "away")
    after(controller, 27)
    known = updates.known(controller)
    assert look(controller)
    problem = controller.store.feed().problem
    assert "metadata" in problem
    assert updates.known(controller) == known
    assert not look(controller)  # not at once again
    after(controller, 1.1)
    assert look(controller)
    assert kinds(controller).count("FeedLookFailed") == 1
    assert topic_of("FeedLookFailed") == "release"

    shown = cto("status", "--output", "json").json
    assert shown["feed_problem"] == problem
    shutil.move(tmp_path / "away", feed.folder)
    assert cto("update", "check").code == 0
    assert controller.store.feed().problem == ""


def test_what_tuf_refuses_is_refused_here_too(controller, feed, cto, state):
    """An older feed is put in its place: nothing that was accepted changes but the note of it."""
    follow(controller, feed, cto)
    old = feed.folder.with_name("old")
    shutil.copytree(feed.folder, old)
    feed.release("1.14.1", 3)
    feed.publish()
    after(controller, 27)
    assert look(controller)
    floors = controller.store.feed_floors()
    shutil.rmtree(feed.folder)
    shutil.move(old, feed.folder)
    after(controller, 27)
    assert look(controller)
    assert "older than what was accepted" in controller.store.feed().problem
    assert controller.store.feed_floors() == floors


def test_it_can_be_left_out_where_there_is_no_network(controller, feed, cto):
    words = ("update", "trust", feed.first_root, "--url", "https://feed.invalid", "--every", "0", "--yes")
    assert cto(*words).code == 0
    after(controller, 1000)
    assert not look(controller)
    assert cto("update", "schedule", "--every", "6", "--output", "json").json == {"every_hours": 6}
    assert controller.store.feed().every_hours == 6
    ran = cto("update", "schedule", "--every", "1000")
    assert (ran.code, "0 to 744" in ran.err) == (2, True)
    assert "never" not in cto("update", "schedule", "--every", "0").err
    actions = controller.store._rows("SELECT after FROM audit WHERE action = 'schedule feed' ORDER BY seq")
    assert [row["after"] for row in actions] == ["every 0 h", "every 6 h", "every 0 h"]


def test_a_feed_that_answers_nothing_holds_nothing_up(controller, feed, cto):
    """While the look waits for it, the store is written and other tasks go on."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        assert cto("update", "trust", feed.first_root, "--url", url, "--yes").code == 0

        async def meanwhile():
            looking = asyncio.ensure_future(tick(controller))
            connection, _ = await asyncio.to_thread(deaf.accept)
            for number in range(20):
                controller.store.event("Meanwhile", "controller", str(number))
                await asyncio.sleep(0)
            assert not looking.done()
            deaf.close()
            connection.close()
            assert await looking

        asyncio.run(meanwhile())
    assert kinds(controller).count("Meanwhile") == 20
    assert controller.store.feed().problem


def test_serving_does_it():
    assert "keep_feed_looks" in [keeper.__name__ for keeper in _KEEPERS]


def row(**values):
    return Feed("u", "stable", "{}", "", START.isoformat(), **values)


@given(st.integers(1, 744), st.text(max_size=20))
def test_looks_are_spread_over_a_tenth(hours, controller):
    at = START.isoformat()
    feed = Feed("u", "stable", "{}", at, at, hours)
    due = next_look(feed, controller)
    assert 0.9 <= (due - START) / timedelta(hours=hours) <= 1.1
    assert due == next_look(feed, controller)


def test_fleets_that_were_set_up_together_look_at_different_times():
    at = START.isoformat()
    feed = Feed("u", "stable", "{}", at, at)
    assert len({next_look(feed, f"controller-{number}") for number in range(50)}) == 50


def test_the_time_of_the_first_look_and_of_none():
    assert next_look(row(), "c") == START
    assert next_look(row(every_hours=0), "c") is None


def test_the_page_says_who_looks_and_what_failed(controller, feed, cto):
    from controller.app.updates_desk import _feed

    follow(controller, feed, cto)
    controller.store.note_look("the server is gone")
    view = _feed(controller)
    assert (view.every_hours, view.problem) == (24, "the server is gone")
    assert json.dumps(view.problem)
