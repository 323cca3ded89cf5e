"""Enrolment tokens in the store: sealed, bound, counted down by exactly one winner a use, audited."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from inventory.errors import OperatorError, RefusedError, StoreError
from roles.enrollment.token import Token
from tests.unit.store.support import fleet

HOUR = timedelta(hours=1)
TOKEN = Token.make(bytes(range(23)))


@pytest.fixture
def site(store):
    store.declare(fleet("n1"), actor="alice")
    return store._row("SELECT name FROM sites")["name"]


def create(store, site, token=TOKEN, *, role="worker", uses=1, life=HOUR):
    return store.create_token(token, site=site, role=role, uses=uses, life=life, actor="ada")


def actions(store):
    rows = store._rows("SELECT action FROM audit WHERE object LIKE 'tokens/%' ORDER BY seq")
    return [row["action"] for row in rows]


def test_a_token_is_sealed_and_opens_only_in_its_place(store, site, home):
    row = create(store, site)
    assert (row.site, row.role, row.uses, row.granted) == (site, "worker", 1, 1)
    assert store.token_secret(TOKEN.id, store._now()) == TOKEN.secret
    held = b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    assert TOKEN.secret not in held
    assert TOKEN.to_text()[-26:].encode() not in held
    other = Token.make(bytes(range(100, 123)))
    create(store, site, other)
    with store._unit() as unit:
        unit.execute(
            "UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE id = ?) WHERE id = ?",
            [TOKEN.id, other.id],
        )
    with pytest.raises(StoreError, match="does not open"):
        store.token_secret(other.id, store._now())


def test_used_up_expired_revoked_and_unknown_are_refused_alike(store, site):
    create(store, site, uses=2)
    now = store._now()
    assert [store.consume(TOKEN.id, now).uses for _ in range(2)] == [1, 0]
    expired, revoked = (Token.make(bytes([n]) * 23) for n in (1, 2))
    create(store, site, expired)
    create(store, site, revoked)
    assert store.revoke_token(revoked.id, actor="ada").revoked_at
    store.revoke_token(revoked.id, actor="ada")
    said = set()
    for token_id, at in (
        (TOKEN.id, now),
        (expired.id, now + 2 * HOUR),
        (revoked.id, now),
        ("A" * 10, now),
    ):
        assert store.token_secret(token_id, at) is None
        with pytest.raises(RefusedError) as error:
            store.consume(token_id, at)
        said.add(str(error.value).replace(token_id, "ID"))
    assert len(said) == 1
    assert actions(store).count("refuse token") == 4
    assert actions(store).count("consume token") == 2
    assert actions(store).count("revoke token") == 1
    assert store.audit_verify().ok
    states = {row.id: row.state(now + 2 * HOUR) for row in store.tokens()}
    assert states == {TOKEN.id: "used", expired.id: "expired", revoked.id: "revoked"}


@pytest.mark.parametrize("uses", [1, 3])
def test_of_many_at_once_exactly_as_many_win_as_there_are_uses(open_store, store, site, uses):
    """Each thread has a connection of its own, as each process would."""
    create(store, site, uses=uses)
    now = store._now()

    def take(_):
        with type(store).open(store.home, now=lambda: now, new_id=lambda: "x", write=False) as own:
            try:
                own.consume(TOKEN.id, now)
            except RefusedError:
                return False
            return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(take, range(24))) == uses
    assert store.token(TOKEN.id).uses == 0
    assert actions(store).count("consume token") == uses
    assert actions(store).count("refuse token") == 24 - uses
    assert store.audit_verify().ok


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": "king"}, "there is no role 'king'"),
        ({"uses": 0}, "0 uses"),
        ({"uses": 101}, "101 uses"),
        ({"life": timedelta(days=91)}, "that long"),
        ({"life": timedelta(0)}, "that long"),
    ],
)
def test_what_a_token_may_not_be(store, site, change, words):
    with pytest.raises(OperatorError, match=words):
        create(store, site, **change)
    assert store.tokens() == ()


def test_an_unknown_site_is_named_with_those_that_exist(store, site):
    with pytest.raises(OperatorError, match=f"name one of {site}"):
        create(store, "atlantis")
    with pytest.raises(OperatorError, match="no token"):
        store.revoke_token("B" * 10, actor="ada")


def test_the_file_itself_keeps_the_count(store, site):
    create(store, site)
    with pytest.raises((sqlite3.IntegrityError, StoreError)), store._unit() as unit:
        unit.execute("UPDATE tokens SET uses = uses - 2")


def test_a_restore_brings_no_used_or_revoked_token_back(open_store, store, site, tmp_path):
    """A backup from before a token was used or revoked knows nothing of that."""
    create(store, site)
    at = store._now
    path = tmp_path / "usb" / "before.db"
    store.backup(path)
    store.consume(TOKEN.id, at())
    store.close()
    type(store).restore(path, store.home, now=at)
    restored = open_store()
    assert restored.token(TOKEN.id).state(at()) == "revoked"
    assert restored.token_secret(TOKEN.id, at()) is None
    assert restored.audit_verify().ok
