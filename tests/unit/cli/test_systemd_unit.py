"""The unit that `cto serve --systemd-unit` prints, as systemd's own tools read it; and what a service tells systemd."""

import asyncio
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.service_manager import ServiceManager
from controller.cli.systemd_unit import unit
from tests.unit.cli.test_serving import start

SERVE = ("serve", "--systemd-unit", "--listen", "0.0.0.0", "--name", "cto.example", "--port", "8443")
MOST_EXPOSED = 20  # of 100, as systemd counts; 19 now


@pytest.fixture
def printed(cto, tmp_path):
    path = tmp_path / "cto.service"
    path.write_text(cto(*SERVE).out)
    return path


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_no_fault_with_it(printed):
    done = subprocess.run(["systemd-analyze", "verify", printed], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("systemd-analyze")
def test_it_is_shut_in(printed):
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(printed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_what_it_may_still_do(printed):
    """Each is needed: to ask whether the clock is right, to find interfaces, to write in its home."""
    text = printed.read_text()
    assert re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE)[-1] == "adjtimex clock_adjtime"
    assert "ProtectClock" not in text
    assert "AF_NETLINK" in text
    assert re.search("^ReadWritePaths=.*/home$", text, re.MULTILINE)
    assert "Type=notify" in text
    assert "StateDirectory=cto\n" in unit(Path("/opt/cto/bin/cto"), [], home=None, port=8443)


def test_a_port_below_1024_and_a_home_of_ones_own(tmp_path):
    text = unit(Path("/opt/cto/bin/cto"), ["--port", "443"], home=tmp_path / "my home", port=443)
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in text
    assert f'ReadWritePaths="{tmp_path}/my home"' in text
    assert "StateDirectory" not in text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1))
def test_an_argument_stays_one_word(word):
    """systemd's rules for quotes are a shell's but for % and $, which are doubled."""
    line = next(
        each for each in unit(Path("/bin/cto"), [word], home=None, port=1).split("\n") if "ExecStart" in each
    )
    words = shlex.split(line.partition("=")[2])
    assert [each.replace("%%", "%").replace("$$", "$") for each in words] == ["/bin/cto", "serve", word]


def test_systemd_is_told_when_it_serves_and_that_it_lives(home, fleet, tmp_path, monkeypatch):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(90)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        process = start(home, "serve", "--port", "0")
        heard = []
        while heard.count(b"WATCHDOG=1") < 3 or b"READY=1" not in heard:
            heard.append(systemd.recv(100))
        process.terminate()
        while heard[-1] != b"STOPPING=1":
            heard.append(systemd.recv(100))
        process.communicate(timeout=60)
    assert process.returncode == 0


async def test_without_systemd_nothing_is_told():
    manager = ServiceManager({"NOTIFY_SOCKET": "@nobody-listens-here", "WATCHDOG_USEC": "x"})
    manager.ready()
    ServiceManager({}).stopping()
    beating = asyncio.ensure_future(manager.beat())
    await asyncio.sleep(0)
    assert not beating.done()
    beating.cancel()


def test_the_program_it_names_is_there(printed):
    (program,) = re.findall(r"^ExecStart=(\S+)", printed.read_text(), re.MULTILINE)
    assert shutil.which(program)
