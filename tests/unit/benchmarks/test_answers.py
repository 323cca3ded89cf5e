"""The harness believes only right answers. Outputs here are composed after what the tools print."""

import json

import pytest

from benchmarks import demo, facts, lab, noop
from benchmarks.measure import Result


def result(stdout: str, *, status: int = 0, stderr: str = "") -> Result:
    return Result(1.0, 0.5, 10, 5, 10, status, stdout=stdout.encode(), stderr=stderr.encode())


def gathered(*problems: str) -> str:
    return json.dumps(
        {"node": "a", "changed": True, "digest": "d", "problems": dict.fromkeys(problems, "why")}
    )


def test_cto_must_give_the_facts_that_every_machine_has() -> None:
    check = facts.cto_answer(2)
    assert check(result(f"{gathered('dimms')}\n{gathered()}\n")) == ""
    assert check(result(f"{gathered('os')}\n{gathered()}\n")) == "1 of 2 answered"
    assert check(result(f"{gathered()}\n")) == "1 of 2 answered"
    assert "status 5" in check(result(f"{gathered()}\n{gathered()}\n", status=5))


def test_ansible_counts_hosts_that_gave_facts() -> None:
    one = 'h | SUCCESS => {\n "ansible_kernel": "6.1"\n}\n'
    assert facts.ansible_answer(2)(result(one * 2)) == ""
    assert facts.ansible_answer(2)(result(one + "h | UNREACHABLE! => {}\n")) == "1 of 2 answered"


def test_pyinfra_needs_every_fact_of_every_host() -> None:
    def output(last: object) -> str:
        names = facts.PYINFRA_FACTS
        answers = [{"a": "x", "b": "y"}] * (len(names) - 1) + [{"a": "x", "b": last}]
        return "".join(
            f"\x1b[1m--> Fact data for: {n}\x1b[0m\n{json.dumps(v)}\n\n"
            for n, v in zip(names, answers, strict=True)
        )

    check = facts.pyinfra_answer(["a", "b"])
    assert check(result("", stderr=output("z"))) == ""
    assert check(result("", stderr=output(None))) == "1 of 2 answered"
    assert check(result("", stderr=output("z").replace("--> Fact", "Fact", 1))) == "6 of 7 facts"


def test_the_loop_says_how_many_answered_and_its_best_open_round() -> None:
    said = result(
        json.dumps({"answered": 3, "rounds": [{"wall": 2, "cpu": 1}, {"wall": 1, "cpu": 2}]}) + "\n"
    )
    assert facts.counted(3)(said) == ""
    assert facts.counted(4)(said) == "3 of 4 answered"
    assert facts.last_rounds(said) == {"open_wall": 1, "open_cpu": 1}
    assert facts.counted(1)(result("")) == "0 of 1 answered"


def test_a_demo_counts_when_both_clusters_were_verified() -> None:
    said = '{"sites":2,"clusters":2,"nodes":5,"verified":%d,"seconds":9.1}\n'
    assert demo.verified(result(said % 2)) == ""
    assert demo.verified(result(said % 1)) != ""
    assert demo.verified(result(said % 2, status=4)) != ""
    assert "exit status 1" in demo.verified(result("", status=1, stderr="no"))


def test_every_machine_of_the_lab_must_be_seen_once_and_in_no_conflict() -> None:
    machines = {f"id{n}": f"127.40.1.{n}" for n in range(3)}
    check = demo.all_seen(machines)

    def said(*items: dict[str, object]) -> Result:
        return result(json.dumps({"seen": []}) + "\n" + json.dumps({"seen": items}) + "\n")

    ours = [{"enroll_id": i, "addresses": [a], "conflict": ""} for i, a in machines.items()]
    other = {"enroll_id": "id9", "addresses": ["127.60.1.1"], "conflict": ""}
    assert check(said(*ours)) == ""
    assert check(said(*ours, other)) == "", "somebody else's lab"
    assert "2 of 3 seen" in check(said(*ours[1:]))
    assert "2 of 3 seen, 3 entries" in check(said(*ours[1:], ours[0] | {"conflict": "two addresses"}))
    assert "2 of 3 seen" in check(said(*ours[1:], ours[0] | {"addresses": ["127.60.1.1"]}))
    assert "3 of 3 seen, 4 entries" in check(said(*ours, ours[0]))
    assert "0 of 3 seen" in check(result(""))


def test_a_no_change_run_must_say_so() -> None:
    recap = "h : ok=20 changed=0    unreachable=0    failed=0    skipped=0\n"
    assert noop.ansible_answer(2)(result(recap * 2)) == ""
    assert noop.ansible_answer(2)(result(recap + recap.replace("changed=0", "changed=1")))
    total = "Grand total \x1b[1m    40      -         -       40  \n"
    assert noop.pyinfra_answer(2)(result("", stderr=total)) == ""
    assert noop.pyinfra_answer(3)(result("", stderr=total))


@pytest.mark.parametrize(("status", "state"), [(0, "partly"), (4, "done")])
def test_an_apply_that_did_not_finish_is_no_result(status: int, state: str) -> None:
    assert lab._applied(result('{"state": "done"}\n')) == ""
    assert lab._applied(result(json.dumps({"state": state}) + "\n", status=status))
