"""Reading etcd snapshots: a real one, and what damage is found in it."""

import contextlib
import gzip
import hashlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.etcd_snapshot import SUM, TrailingSum, inspect
from inventory.errors import CheckFailed

REAL = gzip.decompress((Path(__file__).parents[2] / "fixtures/etcd/snapshot.db.gz").read_bytes())
PAGE = 4096


def look(data: bytes):
    return inspect(lambda offset, size: data[offset : offset + size], len(data), where="db")


def summed(body: bytes) -> bytes:
    """With a checksum that fits, so that only the database itself can show what is wrong."""
    return body + hashlib.sha256(body).digest()


def test_a_real_snapshot_is_read_to_its_last_key():
    found = look(REAL)
    assert (found.keys, found.revision, found.members) == (20, 31, 1)
    assert found.revisions == 30
    assert found.sha256 == hashlib.sha256(REAL).hexdigest()
    assert found.pages >= 5


def test_one_cut_short_and_one_without_a_checksum_are_told():
    with pytest.raises(CheckFailed, match="cut short"):
        look(REAL[:-1000])
    with pytest.raises(CheckFailed, match="cut short"):
        look(REAL[:-SUM])
    with pytest.raises(CheckFailed, match="own checksum"):
        look(REAL[:-SUM] + bytes(SUM))
    with pytest.raises(CheckFailed, match="no page says"):
        look(summed(bytes(PAGE * 4)))
    with pytest.raises(CheckFailed, match="need"):
        look(summed(REAL[: -SUM - PAGE]))
    with pytest.raises(CheckFailed):
        look(b"")


def test_a_page_that_is_none_and_one_that_is_used_twice_are_found():
    body = bytearray(REAL[:-SUM])
    root = struct.unpack_from("<Q", body, 16 + 16)[0]
    newer = struct.unpack_from("<Q", body, PAGE + 16 + 48)[0] > struct.unpack_from("<Q", body, 16 + 48)[0]
    if newer:
        root = struct.unpack_from("<Q", body, PAGE + 16 + 16)[0]
    broken = bytearray(body)
    struct.pack_into("<Q", broken, root * PAGE, root + 1)
    with pytest.raises(CheckFailed, match="says that it is page"):
        look(summed(bytes(broken)))
    broken = bytearray(body)
    struct.pack_into("<I", broken, root * PAGE + 16 + 4, 5000)  # where its first element is
    with pytest.raises(CheckFailed):
        look(summed(bytes(broken)))


def test_a_database_of_something_else_is_no_snapshot():
    with pytest.raises(CheckFailed, match="something else"):
        look(summed(REAL[:-SUM].replace(b"key", b"kez")))


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(REAL) - SUM - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found_by_the_checksum_and_none_breaks_the_reader(at, bit):
    damaged = bytearray(REAL)
    damaged[at] ^= 1 << bit
    with pytest.raises(CheckFailed):
        look(bytes(damaged))
    with contextlib.suppress(CheckFailed):  # whoever made the checksum fit, too: an answer or a refusal
        look(summed(bytes(damaged[:-SUM])))


@given(st.binary(max_size=5000))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(CheckFailed):
        look(data)


@given(st.lists(st.binary(max_size=700)), st.integers(0, 4))
def test_the_sum_does_not_depend_on_how_it_arrives(parts, pages):
    body = b"".join(parts)[: pages * 512].ljust(pages * 512, b"\0")
    whole = summed(body)
    total = TrailingSum()
    step = max(1, len(parts) * 7)
    for offset in range(0, len(whole), step):
        total.add(whole[offset : offset + step])
    assert total.problem == ""
    assert (total.size, total.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
