"""Where a controller listens, as it is typed, scanned and printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from roles.enrollment.invitation import Invitation

PIN = bytes(range(32))


@given(
    st.ip_addresses().map(str)
    | st.from_regex(r"[a-z][a-z0-9]{0,20}(\.[a-z][a-z0-9]{0,9}){0,3}", fullmatch=True),
    st.integers(1, 65535),
    st.binary(min_size=32, max_size=32),
)
def test_what_is_printed_is_read_again_in_either_case(host, port, pin):
    made = Invitation(host, port, pin)
    assert Invitation.parse(made.to_text()) == made
    assert Invitation.parse(made.to_text().upper()) == made
    assert Invitation.parse(made.endpoint) == Invitation(host, port)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.5", "10.0.0.5", 7443),
        (" 10.0.0.5:99 ", "10.0.0.5", 99),
        ("[fd00::1]:99", "fd00::1", 99),
        ("fd00::1", "fd00::1", 7443),
        ("[fd00:0::1]", "fd00::1", 7443),
        ("Cto.Example", "cto.example", 7443),
    ],
)
def test_a_typed_address(text, host, port):
    assert Invitation.parse(text) == Invitation(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0",
        "10.0.0.5:0",
        "10.0.0.5:99999",
        "10.0.0.5:",
        "fe80::1%eth0",
        "a b",
        "-x",
        "x/y",
        "https://10.0.0.5",
        "cto-enroll://10.0.0.5/abc",
        "cto-enroll://10.0.0.5/" + "a" * 51 + "b",
        "x" * 9999,
        "\x1b[2J",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(OperatorError) as error:
        Invitation.parse(text)
    assert "\x1b" not in str(error.value)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_an_address_or_refused(text):
    try:
        found = Invitation.parse(text)
    except OperatorError:
        return
    assert Invitation.parse(found.endpoint).endpoint == found.endpoint
