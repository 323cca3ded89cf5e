"""Staging below a number of bytes a second: the pause between pieces is what the limit says, and no more."""

import click
import pytest

from controller.app.pacing import Pace
from controller.cli.byte_rate import byte_rate

MIB = 1 << 20


class Time:
    """Time that passes only by waiting, or when a test says so."""

    def __init__(self):
        self.now, self.waits = 100.0, []

    def wait(self, seconds):
        self.waits.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def told():
    return []


@pytest.fixture
def report(time, told):
    pace = Pace(MIB, monotonic=lambda: time.now, wait=time.wait)
    return pace.limited(lambda *said: told.append(said))


def test_files_together_take_as_long_as_the_limit_says(report, time, told):
    for done in range(1, 11):
        report("a", done * MIB, 10 * MIB)
        report("b", done * MIB, 10 * MIB)
    assert time.now - 100 == pytest.approx(20 - 1)  # a second's worth may come at once
    assert len(told) == 20  # and all of it is reported as before


def test_a_slow_server_is_not_slowed_down_further(report, time):
    for done in range(1, 11):
        time.now += 5
        report("a", done * MIB, 10 * MIB)
    assert time.waits == []
    for done in range(11, 14):  # nor may it make up for that later, but for a second's worth
        report("a", done * MIB, 20 * MIB)
    assert sum(time.waits) == pytest.approx(3)


def test_what_an_earlier_run_brought_costs_nothing(report, time):
    report("a", 500 * MIB, 501 * MIB)
    report("a", 501 * MIB, 501 * MIB)
    assert time.now - 100 == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10MiB", 10 * MIB), ("500KiB", 500 << 10), ("1g", 1 << 30), ("2M/s", 2 * MIB), ("65536", 65536)],
)
def test_rates(text, rate):
    assert byte_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-5M", "10 apples", "1.5M", "1KiB", "\u0661M", "MiB"])
def test_no_rates(text):
    with pytest.raises(click.BadParameter, match=r"or 10MiB|at least 16KiB"):
        byte_rate(text)


def test_the_command_stages_within_a_limit(cto, feed):
    ran = cto("update", "stage", "talos-1.13.9", "--from", feed.folder, "--limit", "10MiB")
    assert ran.code == 0
    assert "talos-1.13.9 lies ready" in ran.out
    ran = cto("update", "stage", "talos-1.13.9", "--from", feed.folder, "--limit", "fast")
    assert ran.code == 2
    assert "such as 500KiB or 10MiB" in ran.err


def test_a_release_of_another_channel_can_be_put_ready(cto, feed, check):
    feed.release("1.15.0", 1, channel="beta", files={"image": (b"beta", "https://factory.example/beta")})
    feed.publish()
    assert check().code == 0
    assert "no release" in cto("update", "stage", "talos-1.15.0", "--from", feed.folder).err
    ran = cto("update", "stage", "talos-1.15.0", "--channel", "beta", "--from", feed.folder)
    assert ran.code == 0, ran.err
    assert "ready" in cto("update", "list", "--channel", "beta").out
    assert "image" in cto("update", "show", "talos-1.15.0", "--channel", "beta").out
    assert "1.15.0" not in cto("update", "list").out
