"""A licence file: what was signed is what is read, and one changed byte anywhere is refused."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.license.document import License, issue, keys_of, read
from inventory.errors import OperatorError

SEED, OTHER = bytes(range(32)), bytes(range(1, 33))
KEYS = keys_of(SEED)
LICENSE = License(
    "lic_0123456789abcdef",
    "Straßenbau Müller & Söhne",
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    nodes=200,
    clusters=None,
    controller="c-1",
)
TEXT = issue(LICENSE.payload(), SEED)
# The group's small-order points, as libsodium lists them: signatures can be forged for such "keys".
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


def test_what_was_signed_is_what_is_read():
    assert read(TEXT, KEYS) == LICENSE
    assert read(TEXT.replace("\n", "\r\n"), KEYS) == LICENSE


@given(
    st.text(
        st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Cn", "Co", "Zs")), max_size=60
    ),
    st.none() | st.integers(0, 1_000_000),
    st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - the zone is put on below
)
def test_any_licence_survives_the_file(holder, nodes, end):
    made = replace(LICENSE, holder=holder, nodes=nodes, expires=end.replace(microsecond=0, tzinfo=UTC))
    made = replace(made, not_before=datetime(2019, 1, 1, tzinfo=UTC))
    assert read(issue(made.payload(), SEED), KEYS) == made


def test_every_flipped_bit_is_refused():
    data = TEXT.encode()
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(OperatorError):
                read(changed.decode("latin-1"), KEYS)


def test_every_cut_and_every_addition_is_refused():
    for at in range(len(TEXT)):
        for changed in (TEXT[:at], TEXT[:at] + "\n" + TEXT[at:], TEXT[:at] + " " + TEXT[at:]):
            with pytest.raises(OperatorError):
                read(changed, KEYS)
    for changed in (TEXT + TEXT, "\ufeff" + TEXT, TEXT + " "):
        with pytest.raises(OperatorError):
            read(changed, KEYS)


@given(st.text(max_size=400) | st.binary(max_size=400).map(lambda data: data.decode("latin-1")))
def test_anything_else_is_refused_as_such(text):
    with pytest.raises(OperatorError, match="not a licence"):
        read(text, KEYS)


def test_another_key_is_named():
    with pytest.raises(OperatorError, match=next(iter(keys_of(OTHER)))):
        read(issue(LICENSE.payload(), OTHER), KEYS)


def test_a_swapped_payload_is_refused():
    mine = TEXT.splitlines()
    theirs = issue(replace(LICENSE, nodes=None).payload(), OTHER).splitlines()
    with pytest.raises(OperatorError, match="changed or damaged"):
        read("\n".join([*mine[:3], *theirs[3:]]) + "\n", KEYS)


def test_a_key_id_does_not_stand_for_another_key():
    """The id is in what is signed, so a file of one key can't be passed off as one of another."""
    ours, theirs = next(iter(KEYS)), next(iter(keys_of(OTHER)))
    forged = issue(LICENSE.payload(), OTHER).replace(theirs, ours)
    with pytest.raises(OperatorError, match="changed or damaged"):
        read(forged, KEYS)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_key_for_which_anybody_can_sign_is_no_key(point):
    """For a key of small order the all-zero scalar with R = that point verifies under careless checks."""
    key = bytes.fromhex(point)
    kid = next(iter(KEYS))
    forged = base64.b64encode(key + bytes(32)).decode()
    lines = TEXT.splitlines()
    with pytest.raises(OperatorError, match="changed or damaged"):
        read("\n".join([*lines[:2], forged, *lines[3:]]) + "\n", {kid: key})


def _with(**changes):
    return json.dumps({**json.loads(LICENSE.payload()), **changes}).encode()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'{"id":"a","id":"b"}', "there twice"),
        (b"[]", "fields"),
        (b"\xff", "signed rightly"),
        (b"{", "signed rightly"),
        (_with(extra=1), "fields"),
        (_with(nodes=True), "nodes is neither"),
        (_with(nodes=-1), "nodes is neither"),
        (_with(nodes=1.5), "nodes is neither"),
        (_with(nodes=2**53 + 1), "nodes is neither"),
        (_with(clusters="many"), "clusters is neither"),
        (_with(expires="2027-01-01"), "expires is not a time"),
        (_with(expires="2027-02-30T00:00:00Z"), "can't be used"),
        (_with(expires="2025-01-01T00:00:00Z"), "ends before"),
        (_with(holder="a\nb"), "holder is not a line"),
        (_with(holder="x" * 201), "holder is not a line"),
        (_with(id=7), "id is not a line"),
    ],
)
def test_a_payload_that_is_signed_but_wrong(payload, words):
    with pytest.raises(OperatorError, match=words):
        read(issue(payload, SEED), KEYS)
