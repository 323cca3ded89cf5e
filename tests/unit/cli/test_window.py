"""`cto window`: what programs read, what people see, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.app.windows import site_calendars
from inventory.calendar import Freeze, MaintenanceWindow, SiteCalendar
from inventory.resolve import load_files

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday, as in conftest.py
MORE = """
---
apiVersion: fleet/v1
kind: MaintenanceWindow
metadata: {name: night}
spec: {appliesTo: {sites: [berlin]}, days: [Sat, Sun], start: "02:00", end: "05:00"}
---
apiVersion: fleet/v1
kind: Blackout
metadata: {name: fair}
spec: {appliesTo: {sites: [berlin]}, start: 2026-03-08T02:00:00Z, end: 2026-03-08T03:00:00Z, reason: trade fair}
---
apiVersion: fleet/v1
kind: Blackout
metadata: {name: stocktaking}
spec: {start: 2026-03-14, end: 2026-03-14, reason: everybody counts}
"""


def zone(*more):
    return (
        "window",
        "preview",
        "--zone",
        "Europe/Berlin",
        "--days",
        "Sat,Sun",
        "--start",
        "02:00",
        "--end",
        "05:00",
        *more,
    )


@pytest.fixture
def file(site, tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_text(site.read_text() + MORE)
    return path


@pytest.fixture
def declared(file, make_store):
    """A store that knows the file's windows, on Monday noon."""
    resolved = load_files({"windows.yaml": file.read_text()})
    with make_store() as store:
        store.declare(resolved.fleet, actor="local:ada")
        store.declare_calendars(
            site_calendars(resolved.fleet, resolved.windows, resolved.blackouts), actor="local:ada"
        )
    return make_store


def test_json_is_an_array_in_order_with_these_keys(cto, home):
    ran = cto(*zone("--from", "2026-03-28", "--until", "2026-03-29", "--output", "json"))
    assert ran.code == 0
    assert ran.json == [
        {
            "local_start_date": "2026-03-28",
            "start": "2026-03-28T01:00:00Z",
            "end": "2026-03-28T04:00:00Z",
            "minutes": 180,
            "nominal_minutes": 180,
            "status": "open",
        },
        {
            "local_start_date": "2026-03-29",
            "start": "2026-03-29T01:00:00Z",
            "end": "2026-03-29T03:00:00Z",
            "minutes": 120,
            "nominal_minutes": 180,
            "status": "shortened",
        },
    ]
    assert not home.exists()  # no fleet is needed, and none is made


def test_a_skipped_one_stands_in_its_place(cto):
    words = ("window", "preview", "--zone", "Europe/Berlin", "--start", "02:00", "--end", "03:00")
    ran = cto(*words, "--from", "2026-03-28", "--until", "2026-03-30", "--output", "json")
    assert [item["status"] for item in ran.json] == ["open", "skipped", "open"]
    assert ran.json[1] == {
        "local_start_date": "2026-03-29",
        "start": None,
        "end": None,
        "minutes": 0,
        "nominal_minutes": 60,
        "status": "skipped",
    }
    text = cto(*words, "--from", "2026-03-28", "--until", "2026-03-30").out
    assert "the clocks change" in text
    assert "✗" in text


def test_dates_are_local_start_dates_and_both_included(cto):
    words = ("window", "preview", "--zone", "Pacific/Kiritimati", "--start", "23:30", "--duration", "1h")
    ran = cto(*words, "--from", "2026-03-07", "--until", "2026-03-08", "--output", "json")
    assert [item["local_start_date"] for item in ran.json] == ["2026-03-07", "2026-03-08"]
    assert ran.json[0]["start"] == "2026-03-07T09:30:00Z"


def test_without_dates_it_is_four_weeks_from_the_local_today(cto):
    words = (
        "window",
        "preview",
        "--zone",
        "Pacific/Kiritimati",
        "--start",
        "23:30",
        "--duration",
        "1h",
        "--output",
        "json",
    )
    dates = [item["local_start_date"] for item in cto(*words).json]
    assert (dates[0], dates[-1], len(dates)) == ("2026-03-03", "2026-03-30", 28)  # it is the 3rd there


def test_the_table_and_the_picture(cto):
    out = cto(*zone("--from", "2026-03-28", "--until", "2026-03-29")).out
    assert "02:00 CET to 05:00 CET" in out
    assert "03:00 CEST to 05:00 CEST" in out
    assert "120 of 180 min" in out
    assert "2026-03-23" in out
    assert "▒▒······" in out
    assert "Nothing opens" in cto(*zone("--from", "2026-03-24", "--until", "2026-03-25")).out
    assert cto(*zone("--from", "2026-03-24", "--until", "2026-03-25", "--output", "json")).json == []


def test_a_site_has_its_blackouts(cto, file):
    words = (
        "window",
        "preview",
        "--site",
        "berlin",
        "-f",
        file,
        "--from",
        "2026-03-07",
        "--until",
        "2026-03-15",
    )
    got = [(i["start"], i["end"], i["minutes"], i["status"]) for i in cto(*words, "--output", "json").json]
    assert got == [
        ("2026-03-07T01:00:00Z", "2026-03-07T04:00:00Z", 180, "open"),
        ("2026-03-08T01:00:00Z", "2026-03-08T02:00:00Z", 60, "shortened"),
        ("2026-03-08T03:00:00Z", "2026-03-08T04:00:00Z", 60, "shortened"),
        (None, None, 0, "skipped"),
        ("2026-03-15T01:00:00Z", "2026-03-15T04:00:00Z", 180, "open"),
    ]
    ran = cto(*words)
    assert "blackout fair: trade fair" in ran.out
    assert "blackout stocktaking: everybody counts" in ran.out
    assert "under 48 h" in ran.err


def test_a_site_is_also_known_from_the_store(cto, declared):
    ran = cto(
        "window",
        "preview",
        "--site",
        "berlin",
        "--from",
        "2026-03-07",
        "--until",
        "2026-03-07",
        "--output",
        "json",
    )
    assert [item["minutes"] for item in ran.json] == [180]
    ran = cto("window", "preview", "--site", "berln")
    assert ran.code == 2
    assert "did you mean `berlin`" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "either a site or a window"),
        (("--site", "a", "--zone", "UTC"), "either a site or a window"),
        (("--site", "a", "--start", "02:00"), "--start makes no sense"),
        (("--zone", "UTC"), "no start"),
        (("--zone", "CET", "--start", "02:00", "--end", "03:00"), "--zone: 'CET' is an abbreviation"),
        (("--zone", "+02:00", "--start", "02:00", "--end", "03:00"), "fixed offset"),
        (("--zone", "UTC", "--start", "02:00"), "either an end or a duration"),
        (("--zone", "UTC", "--start", "2:00", "--end", "03:00"), "--start: '2:00' is not a time"),
        (("--zone", "UTC", "--start", "02:00", "--duration", "25h"), "longer than 24 hours"),
        (
            ("--zone", "UTC", "--start", "02:00", "--duration", "1h", "--days", "Sonntag"),
            "'Sonntag' is not a weekday",
        ),
        (
            ("--zone", "UTC", "--start", "02:00", "--duration", "1h", "--days", "Sat,Sat"),
            "Sat is listed twice",
        ),
        (
            ("--zone", "UTC", "--start", "02:00", "--duration", "1h", "--from", "tomorrow"),
            "--from: 'tomorrow'",
        ),
        (
            (
                "--zone",
                "UTC",
                "--start",
                "02:00",
                "--duration",
                "1h",
                "--from",
                "2026-03-02",
                "--until",
                "2026-03-01",
            ),
            "no stretch",
        ),
        (("--zone", "UTC", "--start", "02:00", "--duration", "1h", "--until", "9999-12-31"), "no stretch"),
        (("--zone", "UTC", "--start", "02:00", "--duration", "1h", "--until", "2099-12-31"), "ten years"),
    ],
)
def test_what_is_refused(cto, words, said):
    ran = cto("window", "preview", *words)
    assert ran.code == 2
    assert said in ran.err
    assert "→" in ran.err


def test_days_may_be_written_in_any_case(cto):
    ran = cto(
        "window",
        "preview",
        "--zone",
        "UTC",
        "--days",
        "sat, SUN",
        "--start",
        "02:00",
        "--end",
        "03:00",
        "--output",
        "json",
    )
    assert len(ran.json) == 8


def test_list_and_status_tell_the_next_window(cto, declared):
    out = cto("window", "list").out
    assert "outside its maintenance windows" in out
    assert "Sat 2026-03-07 02:0" in out
    assert "the site has no maintenance window" in out  # porto
    (berlin,) = cto("window", "list", "--site", "berlin", "--output", "json").json["sites"]
    assert (berlin["open"], berlin["windows"], berlin["alarm"]) == (False, ["night"], False)
    assert berlin["next"]["end"] == "2026-03-07T04:00:00Z"
    status = cto("status").out
    assert "NEXT WINDOW" in status
    assert "Sat 2026-03-07 02:0" in status
    assert cto("status", "--output", "json").json["calendar"]["sites"][0]["site"] == "berlin"
    assert cto("window", "list", "--site", "paris").code == 2
    within = datetime(2026, 3, 7, 3, tzinfo=UTC)
    with declared(within - timedelta(hours=1)) as store:
        store.keep_time(within - timedelta(hours=1), "")
    assert "open until Sat 2026-03-07 05:00" in cto("window", "list", now=within).out


def test_skips_are_told_in_advance(cto, declared):
    soon = datetime(2026, 3, 20, 12, tzinfo=UTC)
    with declared(soon) as store:
        store.keep_time(soon, "")
    assert "night of 2026-03-29 is shortened: the clocks change" in cto("window", "list", now=soon).out
    assert "the clocks change" not in cto("status", now=soon).out
    narrow = MaintenanceWindow("hour", ("berlin",), "", ("Sun",), "02:00", 60)
    with declared(soon) as store:
        store.declare_calendars([SiteCalendar("berlin", "Europe/Berlin", (narrow,))], actor="local:ada")
    said = "hour of 2026-03-29 is skipped: the clocks change; nothing else opens within a week of it"
    assert said in cto("status", now=soon).out
    assert cto("window", "list", "--site", "berlin", "--output", "json", now=soon).json["sites"][0]["alarm"]


def test_a_clock_that_is_not_believed_is_shown(cto, declared):
    out = cto("status", now=NOW - timedelta(days=1)).out
    assert "which has passed" in out
    assert "confirm-clock" in out


def test_freeze_and_unfreeze(cto, declared):
    assert cto("window", "freeze", "--reason", "x").code == 2
    assert cto("window", "freeze", "--reason", "audit week", "--until", "tomorrow").code == 2
    assert cto("window", "freeze", "--reason", "audit week", "--until", "2099-01-01T00:00:00").code == 2
    ran = cto(
        "window", "freeze", "--reason", "audit week", "--until", "2099-01-01T00:00:00Z", "--output", "json"
    )
    assert (ran.json["reason"], ran.json["actor"]) == ("audit week", "local:ada")
    assert "frozen: berlin" in cto("window", "freeze", "--site", "berlin", "--reason", "stocktaking").out
    assert "frozen until 2099-01-01T00:00:00Z by local:ada: audit week" in cto("status").out
    assert len(cto("window", "list", "--output", "json").json["freezes"]) == 2
    assert (
        "frozen by local:ada" in cto("status", now=datetime.now(UTC)).out
    )  # in the place of the next window
    out = cto("window", "unfreeze", "--reason", "audit is over").out
    assert "lifted: 1" in out
    assert "still frozen: berlin" in out
    assert "nothing was frozen" in cto("window", "unfreeze", "--reason", "audit is over").out
    assert (
        len(
            cto("window", "unfreeze", "--site", "berlin", "--reason", "all counted", "--output", "json").json[
                "lifted"
            ]
        )
        == 1
    )


def test_override_waits_and_can_be_cancelled(cto, declared):
    words = ("window", "override", "--site", "berlin", "--reason", "a disk is failing")
    assert cto(*words).code == 2  # nobody to ask
    assert "from one minute to 4 hours" in cto(*words, "--for", "5h", "--yes").err
    assert "not a duration" in cto(*words, "--for", "soon", "--yes").err
    made = cto(*words, "--for", "2h", "--yes", "--output", "json").json
    wait = datetime.fromisoformat(made["since"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
    assert "has an override" in cto(*words, "--yes").err
    assert "override from" in cto("window", "list", now=datetime.now(UTC)).out
    assert "second person" in cto("window", "approve", made["id"]).err
    agreed = cto(
        "window",
        "approve",
        made["id"],
        environ={"USER": "bob"},
    )
    assert "approved: berlin is open until" in agreed.out
    assert "cancelled" in cto("window", "cancel", made["id"], "--reason", "not needed after all").out
    assert cto("window", "cancel", made["id"], "--reason", "not needed after all").code == 2
    assert "is open from" in cto(*words, "--yes").out


def test_confirm_clock(cto, declared):
    ran = cto("window", "confirm-clock", "--reason", "compared with a phone", "--yes")
    assert ran.out.startswith("the clock is believed from 20")
    assert "cto window cancel" in ran.out
    assert "time" in cto("window", "list").out
    assert cto("window", "confirm-clock", "--reason", "compared with a phone").code == 2
    assert "somebody's word" in cto("window", "confirm-clock", "--reason", "once again please", "--yes").err
    word = cto("window", "list", "--output", "json").json["overrides"][0]["id"]
    assert "the clock is believed" in cto("window", "approve", word, environ={"USER": "bob"}).out
    assert cto("audit", "verify").code == 0


def test_validate_warns_of_too_little_time(cto, file):
    ran = cto("validate", "-f", file)
    assert ran.code == 0
    assert "site berlin has only" in ran.err
    assert ".yaml:" in ran.err
    (warning,) = cto("validate", "-f", file, "--output", "json").json["warnings"]
    assert warning["path"] == "sites/berlin"


def test_status_without_windows_says_nothing_of_them(cto, fleet, make_store):
    assert "NEXT WINDOW" not in cto("status").out
    assert cto("status", "--output", "json").json["calendar"] is None
    with make_store() as store:
        store.freeze(Freeze("f", "audit week", "ada", NOW))
    assert "frozen until it is lifted by ada: audit week" in cto("status").out
