"""The store of an older program: who only looks says which command brings it up to date, and that command does."""

import sqlite3
from pathlib import Path

import pytest

from controller.store import Home
from controller.store.home import write_private

STORE = Path(__file__).parents[2] / "fixtures" / "store"


@pytest.fixture
def older(home):
    made = Home(home)
    made.create()
    connection = sqlite3.connect(made.database)
    connection.executescript((STORE / "0013_notifications.sql").read_text())
    connection.execute("DELETE FROM calendars")  # this file's are no calendars
    connection.commit()
    connection.close()
    write_private(made.key, (STORE / "key").read_bytes())
    return made


def test_status_names_the_command_and_changes_nothing(cto, older):
    before = older.database.read_bytes()
    ran = cto("status")
    assert ran.code != 0
    assert "made by an older cto" in ran.err
    assert "cto store upgrade" in ran.err
    assert older.database.read_bytes() == before


def test_upgrade_keeps_a_copy_and_status_works_again(cto, older):
    ran = cto("store", "upgrade", "--output", "json")
    assert ran.code == 0
    assert ran.json["changed"]
    copy = sqlite3.connect(ran.json["copy"])
    assert copy.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0] == 13
    copy.close()
    assert cto("status").code == 0
    assert "nothing is changed" in cto("store", "upgrade").out
