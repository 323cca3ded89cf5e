"""Two commands at once: one engine acts, the others queue and follow; a dead engine is taken over from."""

import json
import signal
import subprocess
from http.client import HTTPResponse
from urllib.request import Request, urlopen

import pytest

from inventory.lifecycle import NodeState
from tests.e2e.harness import INSTALLED_ONCE, KILLED, Case, ended, until

MIB = 1024 * 1024


def slow_apply(case: Case) -> "subprocess.Popen[str]":
    """An apply that is in the middle of the image until the fault is cleared."""
    case.smudge()
    case.fault(case.name, "slow", times=0, bytes_per_second=2 * MIB)
    process = case.start_apply()
    until(lambda: case.open_step("image"), "the image step")
    return process


def queued(case: Case, number: int) -> bool:
    return len(case.rows("SELECT 1 FROM runs")) == number


def finished(process: "subprocess.Popen[str]", code: int = 0) -> str:
    out, errors = process.communicate(timeout=90)
    assert process.returncode == code, out + errors
    return out


def events_of(case: Case, url: str) -> HTTPResponse:
    """The stream of events that pages listen to."""
    made = case.ok("apitoken", "create", "--note", "x", "--grant", "viewer", "--output", "json")
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}
    opened: HTTPResponse = urlopen(Request(f"{url}api/v1/live", headers=headers), timeout=120)
    return opened


def test_a_second_apply_queues_and_follows(case: Case):
    with ended(slow_apply(case)) as first, ended(case.start_apply()) as second:
        until(lambda: queued(case, 2), "the second run")
        case.clear(case.name)
        finished(first)
        out = finished(second)
    assert "done in" in out
    assert case.effect() == INSTALLED_ONCE
    assert [r["state"] for r in case.rows("SELECT state FROM runs")] == ["done", "done"]
    case.check_store()


def test_a_second_engine_is_refused_with_the_pid_of_the_first(case: Case):
    with ended(slow_apply(case)) as first:
        refused = case.expect(3, "serve", "--port", "0")
        assert f"pid {first.pid}" in refused.stderr
        case.clear(case.name)
        finished(first)
    case.check_store()


def test_an_apply_follows_the_engine_that_serves(case: Case):
    case.smudge()
    with ended(case.start("serve", "--port", "0", "--output", "json")) as served:
        assert served.stdout is not None
        assert json.loads(served.stdout.readline())["url"].startswith("http://127.0.0.1:")
        case.apply()
        engines = case.rows("SELECT message FROM events WHERE kind = 'EngineStarted'")
        assert len(engines) == 1
        served.send_signal(signal.SIGINT)
        assert served.wait(timeout=30) in (0, 130)
    assert case.effect() == INSTALLED_ONCE
    case.check_store()


def test_a_server_that_is_told_to_end_is_watched_and_in_the_middle_of_an_apply(case: Case):
    """It ends well and soon, the stream of events ends with it, and who waited is told to say it again."""
    case.smudge()
    case.fault(case.name, "slow", times=0, bytes_per_second=2 * MIB)
    with ended(case.start("serve", "--port", "0", "--output", "json")) as served:
        assert served.stdout is not None
        url = json.loads(served.stdout.readline())["url"]
        with ended(case.start_apply()) as following:
            until(lambda: case.open_step("image"), "the image step")
            with events_of(case, url) as stream:
                assert stream.readline()
                served.send_signal(signal.SIGTERM)
                assert served.wait(timeout=120) == 0
                stream.read()  # comes to its end
            case.clear(case.name)
            assert "run it again to resume" in finished(following, code=130)
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().bootstraps == 1
    case.check_store()


@pytest.mark.fault
def test_a_follower_takes_over_when_the_engine_is_killed(case: Case):
    with ended(slow_apply(case)) as first, ended(case.start_apply()) as second:
        until(lambda: queued(case, 2), "the second run")
        first.kill()
        assert first.wait(timeout=10) == KILLED
        case.clear(case.name)
        finished(second)
    assert case.node_state(case.name) == NodeState.READY
    seen = case.effect()
    assert (seen.wiped, seen.first_mib, seen.reboots, seen.bootstraps, seen.cleaned) == (1, 1, 1, 1, 1)
    assert seen.imaged <= 2  # once more if the dead engine's stream was cut
    case.check_store()
