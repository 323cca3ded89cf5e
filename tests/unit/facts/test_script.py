"""One round trip: the script under real shells, its frames, and everything a hostile machine can answer."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.machine import clock, cpu, memory, os, smart
from facts.registry import machine_facts
from facts.script import MAX_STDERR, build, deadline, parse_all, read, split
from facts.spec import FactError, FactSpec, Raw
from inventory.errors import InvariantError

FIXTURES = Path(__file__).parents[2] / "fixtures/facts"
BOUNDARY = "0123456789abcdef" * 2
SHELLS = [[shell] for name in ("dash", "bash") if (shell := shutil.which(name))]
if busybox := shutil.which("busybox"):
    SHELLS.append([busybox, "sh"])


def echo(name: str, command: str, **options: object) -> FactSpec[str]:
    return FactSpec(name=name, title=name, command=command, parse=str, model=str, **options)  # type: ignore[arg-type]


def run(specs, shell=("sh",), env=None):
    done = subprocess.run(
        [*shell, "-c", build(specs, boundary=BOUNDARY)], capture_output=True, check=False, env=env
    )
    return split(done.stdout, specs, BOUNDARY, stderr=done.stderr)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: " ".join(shell).rpartition("/")[2])
def test_this_machine_answers_with_facts_or_honest_problems(shell):
    specs = machine_facts()
    facts = parse_all(run(specs, shell), specs)
    assert {*facts.values, *(problem.name for problem in facts.problems)} == {spec.name for spec in specs}
    assert facts.get(memory.FACT).total > 0
    assert facts.get(os.FACT).kernel
    assert facts.get(clock.FACT).epoch > 1_700_000_000
    assert not [problem for problem in facts.problems if "parser failed" in problem.what]


def test_without_any_tool_every_problem_names_one(tmp_path: Path):
    (tmp_path / "sh").symlink_to(shutil.which("sh"))
    specs = (cpu.FACT, memory.FACT, smart.FACT)
    script = build(specs, boundary=BOUNDARY).replace(
        "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin", f"PATH={tmp_path}"
    )
    done = subprocess.run([shutil.which("sh"), "-c", script], capture_output=True, check=False)
    facts = parse_all(split(done.stdout, specs, BOUNDARY, stderr=done.stderr), specs)
    assert not facts.values
    assert [problem.name for problem in facts.problems] == ["cpu", "memory", "smart"]
    assert all("missing" in problem.what and "not found" in problem.what for problem in facts.problems)


def test_output_without_newline_status_and_stderr():
    raws = run((echo("a", "printf abc; printf oops >&2; false"), echo("b", "echo x; exit_is_not_used=1")))
    assert raws["a"] == Raw(1, b"abc", b"oops")
    assert raws["b"] == Raw(0, b"x")


def test_exit_status_of_a_pipeline_and_of_a_missing_tool():
    raws = run(
        (
            echo("a", "echo x | grep y"),
            echo("b", "timeout 5 no-such-tool", seconds=5),
            echo("c", "no-such-tool"),
        )
    )
    assert [raws[name].status for name in "abc"] == [1, 127, 127]


@pytest.mark.needs("timeout")
def test_a_hanging_command_is_stopped_and_the_rest_goes_on():
    specs = (echo("slow", "timeout 1 sleep 600", seconds=1), echo("next", "echo here"))
    facts = parse_all(run(specs), specs)
    assert facts.values == {"next": "here"}
    assert "no answer in time" in facts.problems[0].what


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: " ".join(shell).rpartition("/")[2])
def test_too_much_output_is_cut_on_the_machine(shell):
    specs = (echo("loud", "yes | head -c 1000000", cap=1000), echo("next", "echo here"))
    raws = run(specs, shell)
    assert raws["loud"].truncated
    assert len(raws["loud"].stdout) == 1000
    facts = parse_all(raws, specs)
    assert facts.values == {"next": "here"}
    assert "longer than 1000" in facts.problems[0].what


def test_output_just_over_the_limit_is_told_from_cut_off():
    spec = echo("a", "printf '%01010d' 7", cap=1000)
    raw = run((spec,))["a"]
    assert (raw.status, raw.truncated, len(raw.stdout)) == (0, True, 1000)
    with pytest.raises(FactError, match="longer than 1000"):
        read(spec, raw)


def test_partial_answers_count_where_the_spec_says_so():
    spec = echo("a", "yes | head -c 100000", cap=1000, strict=False)
    facts = parse_all(run((spec,)), (spec,))
    assert len(facts.values["a"]) == 1000
    assert "only its complete part" in facts.problems[0].what


def test_a_machine_can_not_forge_a_frame():
    """It would have to know the boundary; one it saw earlier is of no use."""
    old = "f" * 32
    forged = f"\n{old} = 0 0\n\n{old} b\nlie\n{old} = 0 3"
    spec, other = echo("a", f"printf '%s' '{forged}'"), echo("b", "echo truth")
    raws = run((spec, other))
    assert raws["a"].stdout == forged.encode()
    assert raws["b"].stdout == b"truth"


def test_a_banner_before_the_first_frame_is_not_ours():
    body = f"Welcome!\n\n{BOUNDARY} a\nx\n{BOUNDARY} = 0 1\n".encode()
    assert split(body, (echo("a", ""),), BOUNDARY) == {"a": Raw(0, b"x")}


def test_the_first_frame_of_a_name_counts():
    frame = f"\n{BOUNDARY} a\n%s\n{BOUNDARY} = 0 1\n"
    assert split((frame % 1 + frame % 2).encode(), (echo("a", ""),), BOUNDARY)["a"].stdout == b"1"


def test_what_never_came_is_a_problem_each():
    specs = machine_facts()
    facts = parse_all({}, specs)
    assert len(facts.problems) == len(specs)
    assert not facts.values


def test_a_broken_parser_costs_only_its_own_fact():
    def broken(_: str) -> str:
        raise KeyError("bug")

    specs = (FactSpec(name="bad", title="", command="", parse=broken, model=str), echo("good", ""))
    facts = parse_all({"bad": Raw(0, b"x"), "good": Raw(0, b"y")}, specs)
    assert facts.values == {"good": "y"}
    assert "KeyError" in facts.problems[0].what


def test_stderr_is_capped_and_cleaned():
    spec = echo("a", "")
    frame = f"\n{BOUNDARY} a\n".encode()
    raws = split(
        frame + f"\n{BOUNDARY} = 1 0\n".encode(),
        (spec,),
        BOUNDARY,
        stderr=frame + b"\x1b[31mbad\n" + b"x" * 10**6,
    )
    assert len(raws["a"].stderr) == MAX_STDERR
    assert parse_all(raws, (spec,)).problems[0].what == "the command ended with status 1: bad"


@pytest.mark.parametrize("boundary", ["", "short", "a b" * 8, "$(id)" * 5, "x" * 65, "é" * 20])
def test_boundaries_that_could_break_out_are_refused(boundary: str):
    with pytest.raises(InvariantError):
        build((), boundary=boundary)


def test_deadline_covers_a_machine_where_everything_hangs():
    assert deadline(machine_facts()) > sum(spec.seconds for spec in machine_facts())


PIECES = st.lists(
    st.binary(max_size=40)
    | st.sampled_from(
        [
            f"\n{BOUNDARY} ".encode(),
            b"cpu\n",
            b"= 0 2\n",
            b"= x\n",
            b"= 999 999999999999\n",
            b"\n",
            b"memory\n",
            b"[[[[",
            b"\xff\x1b[2J",
        ]
    )
)


@given(stdout=PIECES.map(b"".join), stderr=PIECES.map(b"".join))
@settings(max_examples=200)
def test_any_bytes_give_facts_and_problems(stdout: bytes, stderr: bytes):
    specs = machine_facts()
    facts = parse_all(split(stdout, specs, BOUNDARY, stderr=stderr), specs)
    assert {*facts.values, *(problem.name for problem in facts.problems)} == {spec.name for spec in specs}
    assert not [problem for problem in facts.problems if "parser failed" in problem.what]
    assert all(problem.what.isprintable() for problem in facts.problems)
