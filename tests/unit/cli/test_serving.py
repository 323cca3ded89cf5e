"""Processes as a user starts them: `cto serve`, a second engine, Ctrl-C; and machines met for the first time."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

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


def told(home, *argv):
    """What another `cto` prints meanwhile, as JSON."""
    process = start(home, *argv, "--output", "json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def token(home):
    return told(home, "apitoken", "create", "--note", "test", "--grant", "viewer")["token"]


def test_serve_shows_the_fleet_and_ends_by_ctrl_c(served, home):
    process, url = served
    assert url.startswith("http://127.0.0.1:")
    asked = Request(url + "api/v1/fleet", headers={"Authorization": f"Bearer {token(home)}"})
    with urlopen(asked, timeout=10) as answer:
        assert [node["name"] for node in json.load(answer)["nodes"]] == [
            "berlin-cp-1",
            "berlin-w-1",
            "porto-1",
        ]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "nothing is lost" in err


def test_systemd_ends_it_and_nothing_is_left_behind(served, home):
    process, _ = served
    assert (home / "web" / "address").exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not (home / "web" / "address").exists()
    assert told(home, "user", "code")["url"] == ""


def test_one_that_was_killed_serves_nothing(served, home):
    process, _ = served
    process.kill()
    process.communicate(timeout=60)
    assert (home / "web" / "address").exists()
    assert told(home, "user", "code")["url"] == ""


def test_nothing_is_shown_without_a_login_and_a_link_is_made_by_whoever_has_the_home(served, home):
    _, url = served
    with pytest.raises(HTTPError, match="401"):
        urlopen(url + "api/v1/fleet", timeout=10)
    made = told(home, "user", "code")
    assert made["url"] == f"{url}enter#{made['code']}"
    with urlopen(url + "enter", timeout=10) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers


def test_where_nobody_reads_along_no_code_is_printed(home, fleet):
    """Standard output is a pipe here: it may well end in a log."""
    process = start(home, "serve", "--port", "0")
    first, second = process.stdout.readline(), process.stdout.readline()
    assert "Serving at http://127.0.0.1:" in first
    assert "cto user code" in second
    assert "#" not in first + second
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_beyond_this_computer_only_by_tls_with_the_fingerprint_that_is_shown(home, fleet):
    """127.0.0.2 with a name of its own stands for another computer's address: the certificate is asked for."""
    import hashlib
    import ssl
    from urllib.parse import urlsplit

    process = start(home, "serve", "--listen", "0.0.0.0", "--port", "0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--name" in err
    argv = [
        "--listen",
        "0.0.0.0",
        "--name",
        "127.0.0.1",
        "--name",
        "cto.test",
        "--port",
        "0",
        "--output",
        "json",
    ]
    process = start(home, "serve", *argv)
    shown = json.loads(process.stdout.readline())
    port = urlsplit(shown["url"]).port
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    assert shown["fingerprint"].replace(":", "") == digest
    context = ssl.create_default_context(cadata=pem)
    with urlopen(f"https://127.0.0.1:{port}/login", timeout=10, context=context) as answer:
        assert answer.headers["Strict-Transport-Security"]
    other = Request(f"https://127.0.0.1:{port}/login", headers={"Host": "evil.example"})
    with pytest.raises(HTTPError, match="400"):
        urlopen(other, timeout=10, context=context)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert (home / "web" / "key.pem").stat().st_mode & 0o777 == 0o600


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
