"""Secrets are sealed, bound to their row and key, and appear in clear nowhere on the disk."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.store import Store
from controller.store.home import Home
from controller.store.secretbox import SealKey, Secret, SecretBox
from inventory.errors import RefusedError, StoreError

CANARY = b"CANARY-cluster-ca-private-key-4f1d"
KEY = SealKey(bytes(range(32)))


def test_round_trip_and_listing(store: Store) -> None:
    store.put_secret("cluster/kn/pki", CANARY)
    assert store.get_secret("cluster/kn/pki") == CANARY
    assert store.has_secret("cluster/kn/pki")
    assert not store.has_secret("x")
    assert [info.name for info in store.list_secrets()] == ["cluster/kn/pki"]
    with pytest.raises(StoreError, match="no such secret"):
        store.get_secret("x")


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(CANARY)
    assert {repr(secret), str(secret), f"{secret}", f"{secret:>9}", f"{secret!r}"} == {"***"}
    assert "CANARY" not in repr({"key": secret})
    assert "raw" not in repr(KEY)


def test_no_byte_of_it_is_on_the_disk(store: Store) -> None:
    store.put_secret("a", CANARY)
    store.put_secret("a", CANARY + b"2")
    store.backup(store.home.root / "copy.db")
    store.close()
    files = [path for path in store.home.root.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert [path.name for path in files if b"CANARY" in path.read_bytes()] == []
    key = SealKey.load(store.home).raw
    found = [
        path.name for path in files if key in path.read_bytes() or key.hex().encode() in path.read_bytes()
    ]
    assert found == ["key"]


def test_a_value_is_not_replaced_by_accident(store: Store) -> None:
    for value in (b"one", b"one"):
        store.put_secret("ca", value, once=True)
    with pytest.raises(RefusedError, match="can't be made again"):
        store.put_secret("ca", b"two", once=True)
    assert store.get_secret("ca") == b"one"
    store.put_secret("ca", b"two")
    assert store.get_secret("ca") == b"two"
    actions = [row["action"] for row in store._rows("SELECT action FROM audit WHERE object = 'secrets/ca'")]
    assert actions == ["put secret", "replace secret"]


def test_a_row_that_was_moved_does_not_open(store: Store) -> None:
    store.put_secret("mine", b"1")
    store.put_secret("yours", b"2")
    store._connection.execute("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'mine')")
    assert store.get_secret("mine") == b"1"
    with pytest.raises(StoreError, match="does not open"):
        store.get_secret("yours")


@given(st.binary(max_size=200), st.integers(min_value=0), st.integers(1, 255))
def test_any_changed_byte_is_noticed(plaintext: bytes, place: int, change: int) -> None:
    box = SecretBox(KEY)
    sealed = bytearray(box.seal(plaintext, table="t", pk="p", column="c"))
    assert box.open(bytes(sealed), table="t", pk="p", column="c") == plaintext
    sealed[place % len(sealed)] ^= change
    with pytest.raises(StoreError):
        box.open(bytes(sealed), table="t", pk="p", column="c")


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(23), bytes(40)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(StoreError):
        SecretBox(KEY).open(sealed, table="t", pk="p", column="c")


@pytest.mark.parametrize(("table", "pk", "column"), [("u", "p", "c"), ("t", "q", "c"), ("t", "p", "d")])
def test_a_value_is_bound_to_its_place(table: str, pk: str, column: str) -> None:
    sealed = SecretBox(KEY).seal(b"x", table="t", pk="p", column="c")
    with pytest.raises(StoreError):
        SecretBox(KEY).open(sealed, table=table, pk=pk, column=column)


def test_another_key_is_refused_by_name(store: Store) -> None:
    store.put_secret("a", b"1")
    KEY.save(store.home)
    for act in (lambda: store.get_secret("a"), lambda: store.put_secret("b", b"2")):
        with pytest.raises(StoreError, match=f"this key \\({KEY.id}\\) is not the one"):
            act()
    store.home.key.unlink()
    with pytest.raises(StoreError, match="missing"):
        store.get_secret("a")


def test_exporting_the_key_leaves_a_trace(store: Store) -> None:
    text = store.export_key(actor="alice")
    assert SealKey.from_text(text).same(SealKey.load(store.home))
    assert tuple(store._rows("SELECT actor, action FROM audit")[-1]) == ("alice", "export key")
    assert store._rows("SELECT 1 FROM events WHERE message LIKE ?", [f"%{text.split()[2]}%"]) == []


def test_the_key_file_is_private_and_round_trips(home: Home) -> None:
    home.create()
    key = SealKey.create(home)
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
    assert SealKey.load(home).same(key)
    assert SealKey.from_text(key.to_text()).id == key.id
    with pytest.raises(StoreError, match="already"):
        SealKey.create(home)


@given(st.data())
def test_a_typing_error_in_an_exported_key_is_noticed(data: st.DataObject) -> None:
    text = KEY.to_text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != text[place]))
    wrong = text[:place] + other + text[place + 1 :]
    if wrong.split() == text.split():
        return  # another kind of space between the same words
    if wrong.lower() == text.lower():
        return  # hex digits mean the same in capitals
    with pytest.raises(StoreError, match="damaged"):
        SealKey.from_text(wrong)
