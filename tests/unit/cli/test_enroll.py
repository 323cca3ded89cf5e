"""`cto enroll`: what a user types and sees; strangers' text never steers the terminal."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.store.enrolling import Claim
from roles.enrollment.token import Token

TOKEN = Token.make(bytes(range(23)))
WORDS = "ENROLL false smart nation mobile dial flag"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def asked(fleet, make_store, key):
    """A machine waits at berlin as a worker; returns a function that adds others."""
    from datetime import timedelta

    with make_store() as store:
        store.create_token(TOKEN, site="berlin", role="worker", uses=9, life=timedelta(hours=1), actor="ada")

    def ask(number=1, **changes):
        said = {
            "token": TOKEN.id, "claimed": "cto-1", "node_key": f"{number:064x}", "ssh_port": 22, "words": WORDS,
            "ssh_key": key if number == 1 else f"{key[:-4]}{number:04}", "hardware": {"serial": f"S-{number}"},
            "session": "00" * 32, "request": f"{number:064x}", "address": "10.0.0.57",
        }  # fmt: skip
        with make_store() as store:
            return store.enroll(Claim(**{**said, **changes}), now=store._now()).id

    return ask


def test_nothing_was_opened(cto):
    ran = cto("enroll", "list")
    assert ran.code == 0
    assert "Enrolment is closed; open it: cto enroll open" in ran.out
    assert "no machine has asked" in ran.out
    assert cto("enroll", "close").out == "it was closed already\n"


def test_who_waits_is_shown_and_approved_by_its_words(cto, asked):
    waiting = asked()
    listed = cto("enroll", "list")
    assert WORDS in listed.out
    assert f"cto enroll approve {waiting}" in listed.out
    assert "pending: 1 machine to be let in at berlin" in cto("status").out
    ran = cto("enroll", "approve", *WORDS.split()[1:], "--as", "berlin-w-9")
    assert ran.code == 0, ran.err
    assert f"{waiting} is berlin-w-9, at 10.0.0.57:22" in ran.out
    shown = cto("node", "show", "berlin-w-9", "--output", "json").json
    assert (shown["state"], shown["address"], shown["site"]) == ("pinned", "10.0.0.57", "berlin")
    row = cto("enroll", "list", "--output", "json").json["machines"][0]
    assert (row["state"], row["node"], row["decided_by"]) == ("approved", "berlin-w-9", "local:ada")
    assert not {"session", "request", "node_key"} & set(row)


def test_by_id_somebody_has_to_compare(cto, asked):
    waiting = asked()
    ran = cto("enroll", "approve", waiting, "--as", "berlin-w-9")
    assert (ran.code, "there is no terminal" in ran.err) == (2, True)
    ran = cto("enroll", "approve", waiting, "--as", "berlin-w-9", "--words", "zoo " * 6)
    assert (ran.code, "the words differ" in ran.err) == (2, True)
    ran = cto(
        "enroll", "approve", waiting, "--as", "berlin-w-9", "--words", WORDS, "--address", "10.0.0.9:2222"
    )
    assert "at 10.0.0.9:2222" in ran.out
    assert "it asked from 10.0.0.57" in ran.out
    assert "approved (berlin-w-9) already" in cto("enroll", "reject", waiting).err


def test_rejecting_and_giving_the_use_back(cto, asked):
    waiting = asked()
    assert cto("token", "list", "--output", "json").json[0]["uses"] == 8
    ran = cto("enroll", "reject", waiting, "--again", "--reason", "power cut")
    assert "is good for it again" in ran.out
    assert cto("token", "list", "--output", "json").json[0]["uses"] == 9


def test_a_pinned_node_gives_way_only_after_it_was_forgotten(cto, asked):
    waiting = asked(2)
    ran = cto("enroll", "approve", waiting, "--words", WORDS, "--as", "berlin-w-1")
    assert (ran.code, "pinned already" in ran.err) == (2, True)
    assert cto("enroll", "forget", "berlin-w-1", "--reason", "exchanged").code == 0
    ran = cto("enroll", "approve", waiting, "--words", WORDS, "--as", "berlin-w-1")
    assert ran.code == 0, ran.err
    assert cto("enroll", "forget", "nobody", "--reason", "x").code == 2


def test_a_conflict_needs_a_second_word(cto, asked):
    first, second = asked(1), asked(2, hardware={"serial": "S-1"}, words="ENROLL " + "zoo " * 5 + "zebra")
    listed = cto("enroll", "list").out
    assert f"claims the same serial as {first}" in listed
    argv = ("enroll", "approve", second, "--words", "zoo " * 5 + "zebra", "--as", "berlin-w-9")
    assert "is in conflict" in cto(*argv).err
    assert cto(*argv, "--accept-conflict").code == 0


def test_text_of_strangers_is_cleaned(cto, asked, make_store):
    asked(hardware={"serial": "\x1b[2JS-1", "vendor": "\u202eevil"})
    with make_store() as store:
        store.refuse_enrollment("flood", address="\x1b]0;x\x07", what="\x1b[31mred", fix="none")
    listed = cto("enroll", "list").out
    assert "\x1b" not in listed
    assert "\u202e" not in listed


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("enroll", "open", "--for", "soon"), "60m or 8h"),
        (("enroll", "open", "--for", "25h"), "at most 24h"),
        (("enroll", "open", "--interface", "nowhere0"), "no interface nowhere0"),
        (("enroll", "approve", "ffffffff"), "cto enroll list"),
        (("enroll", "approve", "zoo"), "cto enroll list"),
        (("enroll", "reject", "ffffffff"), "cto enroll list"),
        (("enroll", "approve", "ffffffff", "--as", "Not A Name"), "can't be the name"),
    ],
)
def test_wrong_input(cto, argv, words):
    ran = cto(*argv)
    assert ran.code == 2
    assert words in ran.err


@pytest.fixture
def opened(home, fleet):
    """`cto enroll open` in the foreground of a process of its own, and what it printed until it listened."""
    argv = ["enroll", "open", "--interface", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from controller.cli.main import main; main()", *argv],
        env={**os.environ, "CTO_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    lines = []
    end = time.monotonic() + 90
    while time.monotonic() < end and "Ctrl-C closes it.\n" not in lines:
        lines.append(process.stdout.readline())
    yield process, "".join(lines)
    process.kill()
    process.communicate()


def test_open_in_the_foreground_until_it_is_interrupted(opened):
    process, text = opened
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert re.search(r"Enrolment is open on 127\.0\.0\.1:\d+ for 60 min", text)
    assert re.search(r"cto-enroll://127\.0\.0\.1:\d+/[a-z2-7]{52}", text)
    assert "█" in text
    assert "Enrolment is closed." in out


def test_when_who_listened_was_killed_the_list_says_so(opened, cto):
    from datetime import UTC, datetime

    process, _ = opened
    assert "Enrolment is open on" in cto("enroll", "list", now=datetime.now(UTC)).out
    process.kill()
    process.communicate()
    assert "Enrolment is open, but nobody listens" in cto("enroll", "list", now=datetime.now(UTC)).out
    assert cto("enroll", "close").out == "closed\n"


def test_opening_again_moves_the_listener_that_runs(opened, cto):
    from datetime import UTC, datetime

    process, _ = opened
    ran = cto("enroll", "open", "--interface", "127.0.0.2", "--port", "0", "--for", "2h", "--output", "json")
    assert ran.code == 0, ran.err
    assert (ran.json["pid"], ran.json["interfaces"]) == (process.pid, ["127.0.0.2"])
    assert ran.json["endpoints"][0].startswith("127.0.0.2:")
    assert "for 2 h" in cto("enroll", "list", now=datetime.now(UTC)).out or process.poll() is None
    assert cto("enroll", "close").out == "closed\n"
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "127.0.0.2" in out


def test_a_port_that_is_taken_ends_it_with_a_way_out(cto, fleet):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cto("enroll", "open", "--interface", "127.0.0.1", "--port", port)
    assert ran.code == 2
    assert f"port {port} can't be listened on" in ran.err
    assert "--port" in ran.err
    assert "closed" in cto("enroll", "list").out
