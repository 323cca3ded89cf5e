"""The lab's shell against the real /bin/sh, and what only the lab's own can show."""

import asyncio
import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso.lab.shell import syntax
from iso.lab.shell.interpreter import Shell
from iso.lab.shell.scanner import ShellSyntaxError
from iso.lab.shell.streams import Collector, Pipe, Source, read_all

FIXTURE = Path(__file__).parents[2] / "fixtures/lab/shell.txt"
SNIPPETS = [part.strip("\n") for part in FIXTURE.read_text().split("\n%%\n")[1:]]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text[:40].replace("\n", " "))
async def test_same_as_the_real_shell(snippet, sh, tmp_path):
    folder = tmp_path / "cwd"
    folder.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "LC_ALL": "C.UTF-8"}
    real = subprocess.run(
        ["/bin/sh", "-c", snippet],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    status, out, err = await sh(snippet)
    assert (status, out) == (real.returncode, real.stdout.decode())
    assert bool(err) == bool(real.stderr), err or real.stderr


@given(
    st.text(
        alphabet=st.sampled_from(list("ab $(){}|&;<>'\"\\\n#!=*`if then fi do done case esac in for 12-")),
        max_size=60,
    )
)
def test_any_text_parses_or_is_refused(text):
    with contextlib.suppress(ShellSyntaxError):
        syntax.parse(text)


async def test_unknown_command_says_so(sh):
    assert await sh("nosuch --flag") == (127, "", "sh: nosuch: not found\n")


async def test_unknown_option_is_refused_instead_of_guessed(sh):
    status, out, err = await sh("wc --made-up-option f")
    assert (status, out) == (2, "")
    assert "invalid option" in err


async def test_what_the_shell_does_not_know_is_a_syntax_error(sh):
    for text in ("cat <<EOF\nx\nEOF", "echo `date`", "echo $((1 + 1))"):
        status, _, err = await sh(text)
        assert status == 2
        assert "not understood" in err


async def test_bytes_pass_unchanged(sh):
    data = bytes(range(256)) * 50
    status, out, _ = await sh("cat | cat", stdin=data)
    assert status == 0
    assert out.encode("utf-8", "surrogateescape") == data


async def test_a_pipe_holds_back_its_writer():
    pipe = Pipe()
    written = 0

    async def write():
        nonlocal written
        for _ in range(100):
            await pipe.write(b"x" * 100_000)
            written += 100_000
        pipe.end()

    task = asyncio.ensure_future(write())
    for _ in range(200):
        await asyncio.sleep(0)
    assert written < 2_000_000, "the writer ran far ahead of a reader that reads nothing"
    assert len(await read_all(pipe)) == 10_000_000
    await task


async def test_a_large_stream_goes_through_without_being_held(sh):
    status, out, _ = await sh("dd if=/dev/zero bs=1M count=300 status=none | cat | wc -c")
    assert (status, out.strip()) == (0, str(300 * 1024 * 1024))


async def test_a_reader_that_leaves_ends_its_writer(sh):
    status, out, _ = await sh("{ yes; echo $? >&2; } | head -n 1")
    assert (status, out) == (0, "y\n")


async def test_sessions_do_not_share_variables(sh):
    async def one(name):
        out = Collector()
        shell = Shell(sh.host, {0: Source(), 1: out}, env=sh.host.environment())
        await shell.run(f"A={name}; sleep 0; for i in 1 2 3; do echo $A; done")
        return out.data.decode()

    assert await asyncio.gather(*(one(name) for name in "abcd")) == [f"{name}\n" * 3 for name in "abcd"]


async def test_lines_too_deep_are_refused(sh):
    status, _, err = await sh("(" * 500 + "echo" + ")" * 500)
    assert status == 2
    assert "nested too deeply" in err
