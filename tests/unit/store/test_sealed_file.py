"""Sealed files: what was written is read at any place, and nothing that was changed opens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.store import Home
from controller.store.sealed_file import MAGIC, PIECE, SealedReader, SealedWriter, is_sealed
from controller.store.secretbox import SealKey
from inventory.errors import StoreError

SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5)
_TAG = 16


@pytest.fixture
def key(tmp_path):
    return SealKey.create(Home.locate(tmp_path / "home"))


def seal(path, key, data, step=10_000):
    with SealedWriter(path, key, name="berlin/1") as sealed:
        for offset in range(0, len(data), step):
            sealed.write(data[offset : offset + step])
        sealed.finish()


def content(size):
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


@pytest.mark.parametrize("size", SIZES)
def test_all_of_it_comes_back(tmp_path, key, size):
    path, data = tmp_path / "x.sealed", content(size)
    seal(path, key, data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_sealed(path)
    with SealedReader(path, key) as reader:
        assert (reader.size, reader.name) == (size, "berlin/1")
        assert reader.read(0, size + 10) == data
    assert size < 16 or data[:200] not in path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(offset=st.integers(0, 4 * PIECE), size=st.integers(0, 2 * PIECE))
def test_it_is_read_at_any_place(tmp_path_factory, offset, size):
    folder = tmp_path_factory.mktemp("sealed")
    key, data = SealKey.create(Home.locate(folder / "home")), content(3 * PIECE + 5)
    seal(folder / "x", key, data)
    with SealedReader(folder / "x", key) as reader:
        assert reader.read(offset, size) == data[offset : offset + size]


def test_what_is_not_finished_is_not_there(tmp_path, key):
    path = tmp_path / "x.sealed"
    with SealedWriter(path, key, name="x") as sealed:
        sealed.write(content(PIECE * 2))
    assert not path.exists()
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == []


@pytest.mark.parametrize("size", [PIECE * 2, PIECE * 2 + 9])
def test_a_piece_that_is_cut_off_moved_or_changed_does_not_open(tmp_path, key, size):
    path = tmp_path / "x.sealed"
    seal(path, key, content(size))
    good = path.read_bytes()
    head = good.index(b"\n") + 1
    piece = PIECE + _TAG
    first, second, rest = (
        good[head : head + piece],
        good[head + piece : head + 2 * piece],
        good[head + 2 * piece :],
    )
    broken = [
        good[:-1],
        good[: head + piece],  # the last one is missing
        good[:head] + second + first + rest,
        good[:head] + first + first + rest,
        good[:head].replace(b"berlin", b"munich") + good[head:],
        good + bytes(piece),
        good[:head],
        good[: head + 5],
    ]
    flipped = bytearray(good)
    flipped[head + 100] ^= 1
    for data in (*broken, bytes(flipped)):
        path.write_bytes(data)
        with pytest.raises(StoreError, match="does not open"), SealedReader(path, key) as reader:
            reader.read(0, size)


def test_another_key_and_another_file_are_told(tmp_path, key):
    path = tmp_path / "x.sealed"
    seal(path, key, b"secret")
    other = SealKey.create(Home.locate(tmp_path / "other"))
    with pytest.raises(StoreError, match="another key"):
        SealedReader(path, other)
    for text in (
        b"",
        MAGIC,
        MAGIC + b"{}\n",
        MAGIC + b"[1]\nxx",
        b"plain text\n",
        MAGIC + b"[" * 900 + b"\n",
    ):
        path.write_bytes(text)
        with pytest.raises(StoreError):
            SealedReader(path, key)
