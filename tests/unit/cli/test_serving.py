"""Processes as a user starts them: `cto serve`, a second engine, Ctrl-C; and machines met for the first time."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from urllib.request import urlopen

import asyncssh
import pytest

from controller.cli.base import App
from controller.cli.main import run
from controller.cli.names import foreign_owners
from inventory.words import key_words

CODE = "from controller.cli.main import main; main()"


def start(home, *argv):
    environ = {**os.environ, "CTO_HOME": str(home), "USER": "ada"}
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *argv],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def served(home, fleet):
    process = start(home, "serve", "--port", "0", "--output", "json")
    yield process, json.loads(process.stdout.readline())["url"]
    process.kill()
    process.communicate()


def test_serve_shows_the_fleet_and_ends_by_ctrl_c(served):
    process, url = served
    assert url.startswith("http://127.0.0.1:")
    with urlopen(url + "api/v1/fleet", timeout=10) as answer:
        assert [node["name"] for node in json.load(answer)["nodes"]] == [
            "berlin-cp-1",
            "berlin-w-1",
            "porto-1",
        ]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "nothing is lost" in err


def test_a_second_engine_is_refused_with_the_first_ones_pid(served, home):
    process, _ = served
    second = start(home, "serve", "--port", "0")
    _, err = second.communicate(timeout=20)
    assert second.returncode == 3
    assert str(process.pid) in err


def test_events_follow_until_ctrl_c(home, fleet, make_store):
    process = start(home, "events", "--follow", "--limit", "1", "--output", "json")
    assert json.loads(process.stdout.readline())
    with make_store() as store:
        store.event("Noted", "controller", "here I am")
    assert json.loads(process.stdout.readline())["message"] == "here I am"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_a_reader_that_goes_away_is_no_bug(home, fleet):
    environ = {**os.environ, "CTO_HOME": str(home)}
    line = (
        f'"{sys.executable}" -c "{CODE}" events --limit 1000 --output json | head -1; echo ${{PIPESTATUS[0]}}'
    )
    done = subprocess.run(["bash", "-c", line], env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in {"0", "141"}


@pytest.fixture
async def machine():
    """A real SSH server that lets nobody in, and its public key line."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[key])
    yield server.get_port(), key.export_public_key("openssh").decode().strip()
    server.close()
    await server.wait_closed()


async def add(home, port, *argv):
    app = App(home=home, environ={"USER": "ada"})
    words = ["node", "add", "edge-1", "--address", f"127.0.0.1:{port}", *argv]
    return await asyncio.to_thread(run, words, app)


async def test_the_right_words_pin_the_key_that_answered(machine, home, capsys):
    port, line = machine
    assert await add(home, port, "--words", key_words(line)) == 0
    assert key_words(line) in capsys.readouterr().out


async def test_other_words_pin_nothing(machine, home, capsys):
    port, _ = machine
    assert await add(home, port, "--words", "KEY abandon ability able about above absent") == 2
    assert "the words differ" in capsys.readouterr().err
    assert await asyncio.to_thread(run, ["node", "show", "edge-1"], App(home=home)) == 2


async def test_nobody_to_compare_is_a_refusal(machine, home, capsys):
    port, _ = machine
    assert await add(home, port, "--confirm-words") == 2
    assert "--words" in capsys.readouterr().err


async def test_a_machine_that_does_not_answer_is_the_networks_fault(home):
    assert await add(home, 1, "--words", "x") == 4


def test_names_of_others_are_found():
    owners = {"web": ["platform-in-a-box", "web.py"], "facts": ["platform-in-a-box"], "iso": ["other"]}
    assert foreign_owners(owners) == {"web": ["web.py"], "iso": ["other"]}


def test_the_start_up_check_is_remembered(cto, home, fleet):
    assert not (home / "names.ok").exists()
    assert cto("status").code == 0
    key = (home / "names.ok").read_text()
    (home / "names.ok").write_text("older answer")
    assert cto("status").code == 0
    assert (home / "names.ok").read_text() == key
