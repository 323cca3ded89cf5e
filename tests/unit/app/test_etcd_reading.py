"""How the answers of control planes become one reading; what they say of a quorum."""

import pytest

from controller.app.etcd_reading import QUOTA, Answer, Seen, Sign, refuse_with_quorum
from controller.app.ports import EtcdMember
from controller.app.talos_port import EtcdStatus
from controller.core.quorum import refuse_join
from inventory.errors import RefusedError


def member(id_, name, *, learner=False):
    return EtcdMember(id_, name, (f"https://{name}:2380",), learner)


def status(id_, *, leader=1, index=100, applied=100, size=1 << 20, errors=()):
    return EtcdStatus(id_, leader, 2, index, applied, size, size, is_learner=False, errors=errors)


def seen(services, *answers, members=None, at=None):
    listed = members or tuple(member(n, f"cp-{n}") for n in range(1, len(answers) + 1))
    at = services.clock.monotonic() if at is None else at
    return Seen(at, answers, listed, sum(bool(a.status) for a in answers))


def well(number, **kwargs):
    name = f"cp-{number}"
    return Answer(name, members=(member(number, name),), status=status(number, **kwargs), seconds=0.1)


def problems(services, *answers):
    return [m.problem for m in seen(services, *answers).reading(services).members]


def test_members_that_are_well_have_no_problem(services):
    reading = seen(services, well(1), well(2), well(3)).reading(services)
    assert [m.problem for m in reading.members] == ["", "", ""]
    assert (reading.endpoints, reading.expected, reading.age) == (3, 3, 0.0)
    assert refuse_join("cp-4", reading) == ""


def test_each_kind_of_trouble_is_told(services):
    silent = Answer("cp-2", "no answer in time")
    assert problems(services, well(1), silent) == ["", "is not started"]
    assert problems(services, well(1), well(2, leader=0)) == ["", "does not answer a read"]
    assert problems(services, well(1), well(2, errors=("timed out",))) == ["", "does not answer a read"]
    assert problems(services, well(1, index=5000), well(2)) == ["is 4900 entries behind"] * 2
    assert "1 % of its database" in problems(services, well(1, size=QUOTA - QUOTA // 100))[0]
    alarm = Answer("cp-2", "", (member(2, "cp-2"),), status(2), ((2, "NOSPACE"), (1, "CORRUPT")), 0.1)
    assert problems(services, well(1), alarm) == ["", "raises NOSPACE"]
    unready = Answer("cp-2", "it is booting", (member(2, "cp-2"),), status(2), (), 0.1)
    assert "cordoned, rebooting" in problems(services, well(1), unready)[1]
    other = Answer("cp-2", "", (member(2, "cp-2"),), status(7), (), 0.1)
    assert problems(services, well(1), other) == ["", "is not started"]


def test_a_reading_grows_old(services):
    made = seen(services, well(1), at=services.clock.monotonic())
    services.clock.at += services.clock.at.resolution * 6_000_000
    assert made.reading(services).age == pytest.approx(6.0)
    assert "6 s old" in refuse_join("cp-2", made.reading(services))
    assert (made.id_of("cp-1"), made.id_of("cp-9")) == (1, 0)


def test_a_quorum_or_the_doubt_of_one_stops_a_recovery():
    refuse_with_quorum({"a": Sign.NONE, "b": Sign.SILENT}, "berlin")
    with pytest.raises(RefusedError, match="b knows a leader"):
        refuse_with_quorum({"a": Sign.NONE, "b": Sign.LED}, "berlin")
    with pytest.raises(RefusedError, match="can't be told"):
        refuse_with_quorum({"a": Sign.NONE, "b": Sign.UNKNOWN}, "berlin")
