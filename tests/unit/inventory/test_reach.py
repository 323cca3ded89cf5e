"""What an operator types for an address, a jump host and an account."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from inventory.reach import check_user, parse_jump, split_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.1", ("10.0.0.1", 22)),
        ("10.0.0.1:2222", ("10.0.0.1", 2222)),
        ("host.example:22", ("host.example", 22)),
        ("Host.Example", ("Host.Example", 22)),
        ("[fd00::1]:22", ("fd00::1", 22)),
        ("fd00::1", ("fd00::1", 22)),
        ("[fd00::1]", ("fd00::1", 22)),
        ("fe80::1%eth0", ("fe80::1%eth0", 22)),
    ],
)
def test_addresses(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", ":22", "h:", "h:0", "h:65536", "h:x", "h:²", "1.2.3", "-oProxyCommand=x", "1.2.3.4 ; rm", "http://h", "fe80::1%a b", "fe80::1%", "a b"],
)  # fmt: skip
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(OperatorError, match="is not an address"):
        split_address(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("root@jump.example", ("root", "jump.example", 22)),
        ("a@10.0.0.1:2222", ("a", "10.0.0.1", 2222)),
        ("a@[fd00::1]:2222", ("a", "fd00::1", 2222)),
        ("a@fd00::1", ("a", "fd00::1", 22)),
    ],
)
def test_jump_hosts(text: str, parts: tuple[str, str, int]) -> None:
    assert parse_jump(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", "host", "@host", "a@", "a@host:", "a@host:x", "a@host:0", "a@host:99999", "a b@host", "a@-x", "-l@host"],
)  # fmt: skip
def test_wrong_jump_hosts(text: str) -> None:
    with pytest.raises(OperatorError, match="is no jump host"):
        parse_jump(text)


@pytest.mark.parametrize("text", ["", "a b", "-l", "x" * 33, "root\n"])
def test_wrong_accounts(text: str) -> None:
    with pytest.raises(OperatorError, match="is not the name of an account"):
        check_user(text)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    for read in (split_address, parse_jump, check_user):
        try:
            found = read(text)
        except OperatorError:
            continue
        assert not set(str(found[0])) & set(" ;'\"\n\\$`|&")
