"""Enrolment in the store: whole or absent at any kill, one winner for each use, known hardware held to its keys."""

import dataclasses
import itertools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from controller.store import Store, StoreQueries
from controller.store.base import iso
from controller.store.enrolling import Claim
from controller.store.enrollments import MAX_REFUSALS
from controller.store.home import Home
from controller.store.lock import HostLock, holder
from inventory.errors import BusyError, RefusedError
from roles.enrollment.token import Token
from tests.unit.store.support import KEY_A, KEY_B, SteppingClock, fleet, killed_at

HOUR = timedelta(hours=1)
TOKEN = Token.make(bytes(range(23)))
UUID = "4c4c4544-0042-3510-8052-b4c04f4e3233"
CLAIM = Claim(
    token=TOKEN.id,
    claimed="cto-1",
    node_key="11" * 32,
    ssh_key=KEY_B,
    ssh_port=22,
    hardware={"uuid": UUID},
    words="ENROLL a b c d e f",
    session="22" * 32,
    request="33" * 32,
    address="10.0.0.9",
)


def other(**changes):
    return dataclasses.replace(CLAIM, node_key="44" * 32, request="55" * 32, **changes)


@pytest.fixture
def ready(store):
    store.declare(fleet("n1", "n2"), actor="alice")
    store.create_token(TOKEN, site="berlin", role="controlplane", uses=1, life=HOUR, actor="ada")
    return store


def approve(store, enrollment, node="n1"):
    return store.approve_enrollment(
        enrollment, node=node, address="10.0.0.9", port=22, user="root", jump="", actor="ada", reason="words"
    )


ACTS = {
    "enroll": lambda s: s.enroll(CLAIM, now=s._now()),
    "approve": lambda s: approve(s, s.enrollments()[0].id),
    "reject": lambda s: s.reject_enrollment(s.enrollments()[0].id, actor="ada", reason="no", again=True),
}
TABLES = ("enrollments", "tokens", "nodes", "audit", "events")


def contents(store):
    return json.dumps([[dict(r) for r in store._rows(f"SELECT * FROM {t}")] for t in TABLES], default=repr)


@pytest.mark.parametrize("name", ACTS)
def test_killed_before_any_statement_it_happened_whole_or_not_at_all(ready, tmp_path, name):
    if name != "enroll":
        ready.enroll(CLAIM, now=ready._now())
    before = contents(ready)
    ready.close()
    seen = []
    for statement in itertools.count(1):
        home = Home(tmp_path / f"at-{statement}")
        shutil.copytree(ready.home.root, home.root)

        def act(arm, home=home):
            opened = reopen(home)
            arm(opened._connection)
            ACTS[name](opened)

        killed = killed_at(statement, act)
        with reopen(home) as survivor:
            assert survivor.audit_verify().ok
            if (now := contents(survivor)) not in seen:
                seen.append(now)
        if not killed:
            break
    assert seen[0] == before
    assert len(seen) == 2


def reopen(home):
    clock = SteppingClock()
    return Store.open(home, now=lambda: clock.time, new_id=lambda: "0011223344556677")


@pytest.mark.parametrize(("uses", "machines"), [(1, 100), (2, 6)])
def test_of_many_machines_at_once_as_many_are_in_as_there_are_uses(ready, uses, machines):
    token = Token.make(bytes(range(100, 123)))
    ready.create_token(token, site="berlin", role="controlplane", uses=uses, life=HOUR, actor="ada")

    def ask(number):
        with Store.open(ready.home, now=ready._now, new_id=lambda: f"{number:016x}") as mine:
            key = f"{number:02x}" * 32
            claim = dataclasses.replace(
                CLAIM, token=token.id, node_key=key, request=key, hardware={"serial": f"S-{number}"}
            )
            return mine.enroll(claim, now=ready._now())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(machines)))
    assert sum(bool(answer.id) for answer in answers) == uses
    assert {answer.refused for answer in answers if not answer.id} == {"reuse"}
    assert ready.token(token.id).uses == 0


def test_a_node_known_by_its_facts_is_held_to_its_pin(ready):
    ready.pin("n2", address="10.0.0.2", host_key=KEY_A, actor="ada", reason="words")
    ready.save_facts("n2", {"facts": {"platform": {"uuid": UUID, "serial": ""}}}, "digest")
    answer = ready.enroll(CLAIM, now=ready._now())
    assert (answer.refused, answer.other) == ("changed-keys", "n2")
    assert ready.token(TOKEN.id).uses == 1
    assert ready.enroll(other(ssh_key=KEY_A), now=ready._now()).id  # the machine itself


def test_a_decision_can_be_heard_again_for_ten_minutes(ready):
    now = ready._now()
    made = ready.enroll(CLAIM, now=now)
    approve(ready, made.id)
    assert ready.enroll(CLAIM, now=now + timedelta(minutes=9)).id == made.id
    assert ready.enroll(CLAIM, now=now + timedelta(minutes=11)).refused == "used"
    assert ready.enroll(dataclasses.replace(CLAIM, ssh_key=KEY_A), now=now).refused == "changed-keys"


def test_a_machine_that_was_away_for_long_waits_again_as_long_as_its_token_is_good(ready):
    now = ready._now()
    made = ready.enroll(CLAIM, now=now)
    assert ready.expire_enrollments(now + HOUR / 2) == 1
    again = ready.enroll(CLAIM, now=now + HOUR / 2)
    assert (again.id, again.resumed, ready.enrollment(made.id).state) == (made.id, True, "pending")
    assert ready.enroll(CLAIM, now=now + 2 * HOUR).id == made.id  # who waits outlives its token
    ready.expire_enrollments(now + 3 * HOUR)
    assert ready.enroll(CLAIM, now=now + 2 * HOUR).refused == "expired"
    ready.reject_enrollment(made.id, actor="ada", reason="scrapped", again=True)
    assert ready.token(TOKEN.id).uses == 1


def test_approving_pins_once_and_only_a_free_node(ready):
    made = ready.enroll(CLAIM, now=ready._now())
    ready.pin("n2", address="10.0.0.2", host_key=KEY_A, actor="ada", reason="words")
    with pytest.raises(RefusedError, match="pinned already"):
        approve(ready, made.id, "n2")
    assert ready.enrollment(made.id).state == "pending"
    approve(ready, made.id, "n1")
    assert ready.node("n1").host_key == KEY_B
    with pytest.raises(RefusedError, match="approved"):
        approve(ready, made.id, "n1")


def test_what_site_files_expect_is_kept_and_taken_back(ready):
    declared = fleet("n1", "n2")
    node = dataclasses.replace(declared.nodes["n1"], hardware={"serial": "S-1", "mac": "52:54:00:AA:00:01"})
    ready.declare(dataclasses.replace(declared, nodes={**declared.nodes, "n1": node}), actor="ada")
    assert ready.expected_hardware() == {"n1": {"serial": "S-1", "mac": "52:54:00:aa:00:01"}}
    ready.declare(declared, actor="ada")
    assert ready.expected_hardware() == {}


def test_refusals_alike_are_one_line_and_there_is_an_end_to_lines(ready):
    for _ in range(3):
        ready.refuse_enrollment("guess", address="10.0.0.66", token="A" * 10, what="no", fix="look")
    assert ready.enrollment_refusals()[0].times == 3
    for number in range(MAX_REFUSALS + 20):
        ready.refuse_enrollment("tls", address=f"10.1.0.{number}", what="no", fix="look")
    assert len(ready.enrollment_refusals()) == MAX_REFUSALS
    rows = ready._rows("SELECT 1 FROM audit WHERE action LIKE 'refuse enrollment%'")
    assert len(rows) == MAX_REFUSALS + 23  # the audit log forgets none


def test_a_restore_closes_enrolment(ready, tmp_path, clock):
    now = ready._now()
    ready.open_enrollment(until=now + 9 * HOUR, interfaces=("eth0",), port=7443, actor="ada")
    assert ready.enrollment_window().is_open(iso(now))
    ready.backup(tmp_path / "b.db")
    ready.close()
    Store.restore(tmp_path / "b.db", ready.home, now=clock)
    with StoreQueries(ready.home) as queries:
        assert not queries.enrollment_window().is_open(iso(now))


def test_one_process_at_a_time_lets_machines_enrol(ready):
    with HostLock.acquire(ready.home), pytest.raises(BusyError, match="lets machines enrol"):
        HostLock.acquire(ready.home)
    HostLock.acquire(ready.home).release()
    assert holder(ready.home) == 0  # it is not the engine's lock
