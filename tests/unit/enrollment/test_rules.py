"""The pure rules: how often one may knock, which node a machine is, which hardware ids count, what files say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.enrollment.binding import Place, bind
from controller.core.enrollment.limits import Admission, source_of
from controller.core.enrollment.refusals import _REASONS, refusal
from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import NodeState
from iso.enroll import hardware as node_hardware
from iso.enroll.config import EnrollConfig
from iso.enroll.kept import Kept
from roles.enrollment import hardware

TOKEN = "CTO1-AAAQEAYEAU-A4EASCQLBQGQ4DYQCEJBGFAVCY"
UUID = "4c4c4544-0042-3510-8052-b4c04f4e3233"


def place(name, *, role="worker", site="berlin", state=NodeState.DECLARED, **expected):
    return Place(name, site, role, state, expected)


def bound(claimed, *places, **options):
    return bind(claimed, **{"site": "berlin", "role": "worker", **options}, places=places)


# --- limits


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 30)), max_size=300))
def test_in_no_minute_more_than_allowed(knocks):
    limits, now, let_in = Admission(), 0.0, []
    for source, pause in knocks:
        now += pause / 10
        if not limits.admit(f"fd00:{ord(source):x}::1", now):
            let_in.append((now, source))
            limits.settled()
    for at, _ in let_in:
        recent = [s for t, s in let_in if at - 60 < t <= at]
        assert len(recent) <= 60
        assert max(map(recent.count, recent)) <= 5


def test_a_minute_later_it_may_knock_again():
    limits = Admission()
    assert [limits.admit("10.0.0.1", 0) for _ in range(6)].count("") == 5
    assert limits.admit("10.0.0.2", 0) == ""
    assert "from this address" in limits.admit("10.0.0.1", 59.9)
    assert limits.admit("10.0.0.1", 60.1) == ""


def test_only_so_many_say_nothing_at_once():
    limits = Admission(half_open=2)
    assert limits.admit("10.0.0.1", 0) == limits.admit("10.0.0.2", 0) == ""
    assert "that say nothing" in limits.admit("10.0.0.3", 0)
    limits.settled()
    assert limits.admit("10.0.0.3", 0) == ""


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("?", "?"),
    ],
)
def test_sources(address, source):
    assert source_of(address) == source


# --- which node


def test_hardware_says_which_node_it_is():
    places = place("w-1", serial="S-1"), place("w-2", mac="52:54:00:00:00:02"), place("w-3", uuid=UUID)
    assert bound({"serial": "S-1"}, *places).node == "w-1"
    assert bound({"serial": "S-1"}, *places).registered
    by_tpm = bound({"tpm_ek": "ab" * 32}, place("w-4", tpm_ek="AB" * 32))
    assert (by_tpm.node, by_tpm.registered) == ("w-4", False)  # named, and not proved
    by_mac = bound({"serial": "S-9", "mac1": "52-54-00-00-00-02"}, *places)
    assert (by_mac.node, by_mac.registered) == ("w-2", False)
    by_uuid = bound({"uuid": UUID.upper()}, *places)
    assert (by_uuid.node, by_uuid.registered) == ("w-3", False)


def test_one_id_that_contradicts_is_enough_not_to_be_it():
    both = place("w-1", serial="S-1", uuid=UUID)
    assert bound({"serial": "S-1", "uuid": UUID}, both).by == ("serial", "uuid")
    assert bound({"serial": "S-1"}, both).by == ("serial",)
    with pytest.raises(OperatorError, match="no node of site berlin"):
        bound({"serial": "S-1", "uuid": UUID.replace("4", "5")}, both)
    with pytest.raises(RefusedError, match="this one says otherwise"):
        bound({"serial": "S-2"}, both, name="w-1")


def test_the_only_free_one_or_a_question():
    taken = place("w-0", state=NodeState.READY)
    assert bound({}, taken, place("w-1"), place("cp", role="controlplane")).node == "w-1"
    assert not bound({}, taken, place("w-1")).registered
    with pytest.raises(OperatorError, match="could be w-1, w-2"):
        bound({}, place("w-1"), place("w-2"))
    with pytest.raises(OperatorError, match="no node of site berlin"):
        bound({}, taken, place("w-1", site="oslo"), place("w-2", serial="S-2"))
    assert bound({}, taken, name="w-9").why == "named by the operator; no site file knows it yet"


def test_site_and_role_of_the_token_hold():
    with pytest.raises(RefusedError, match="is at site oslo"):
        bound({}, place("w-1", site="oslo"), name="w-1")
    with pytest.raises(RefusedError, match="to be a controlplane"):
        bound({"serial": "S-1"}, place("cp", role="controlplane", serial="S-1"))
    with pytest.raises(OperatorError, match="expected as w-1, w-2"):
        bound({"serial": "S-1"}, place("w-1", serial="S-1"), place("w-2", serial="S-1"))


# --- hardware ids


@pytest.mark.parametrize("value", ["", "To Be Filled By O.E.M.", "Default string", "0123456789"])
def test_fields_that_nobody_filled_are_no_identity(value):
    assert hardware.identities({"serial": value, "uuid": "03000200-0400-0500-0006-000700080009"}) == {}


def test_where_ssh_answers():
    assert hardware.ssh_port({}) == 22
    assert hardware.ssh_port({"ssh_port": "2222"}) == 2222
    assert [hardware.ssh_port({"ssh_port": odd}) for odd in ("0", "99999", "x", "-1", "9" * 99)] == [22] * 5


def test_a_machine_tells_what_is_filled_in_and_can_be_said(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(text)

    write("sys/class/dmi/id/sys_vendor", b"Acme \xff\n")
    write("sys/class/dmi/id/product_name", b'A "quoted" name\n')
    write("sys/class/dmi/id/product_serial", b"S-1\n")
    write("sys/class/dmi/id/product_uuid", UUID.upper().encode())
    write("sys/class/net/eth0/address", b"52:54:00:00:00:01\n")
    write("sys/class/net/eth0/device/vendor", b"0x8086\n")
    write("sys/class/net/lo/address", b"00:00:00:00:00:00\n")
    assert node_hardware.read(tmp_path) == {"serial": "S-1", "uuid": UUID, "mac0": "52:54:00:00:00:01"}
    assert node_hardware.read(tmp_path / "nothing") == {}


# --- files of the machine, and texts


def test_the_file_in_the_image_round_trips_and_hides_its_token():
    config = EnrollConfig(TOKEN, "ab" * 32, ("10.0.0.5", "[fd00::1]:99"), mdns=False)
    assert EnrollConfig.read(config.to_json()) == config
    assert TOKEN not in repr(config)


@pytest.mark.parametrize(
    "body",
    [
        "x",
        "[]",
        {},
        {"token": TOKEN[:-1]},
        {"token": TOKEN, "pin": "AB" * 32},
        {"token": TOKEN, "addresses": "10.0.0.5"},
        {"token": TOKEN, "addresses": ["a b"]},
        {"token": TOKEN, "more": 1},
    ],
)
def test_a_wrong_file_is_refused_without_its_token(body):
    with pytest.raises(OperatorError) as error:
        EnrollConfig.read(body if isinstance(body, str) else json.dumps(body))
    assert TOKEN[16:36] not in str(error.value)


def test_what_is_kept_survives_the_program_and_nobody_else_reads_it(tmp_path):
    path = tmp_path / "run" / "kept.json"
    first = Kept.load(path)
    for number in range(100):
        first.remember(bytes([number]) * 32, f"ENROLL {number}")
    again = Kept.load(path)
    assert (again.seed, len(again.sessions)) == (first.seed, 64)
    assert again.words(bytes([99]) * 32) == "ENROLL 99"
    assert again.words(bytes(32)) == ""
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("{}")
    assert Kept.load(path).seed != first.seed


def test_each_refusal_has_a_message_and_a_fix_of_its_own():
    made = [refusal(reason, other="w-1") for reason in _REASONS]
    assert len({each.what for each in made}) == len(made)
    assert all(each.fix and "{" not in each.what + each.fix for each in made)
