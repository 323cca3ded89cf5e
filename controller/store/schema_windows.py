"""The tables of the maintenance calendar: what was declared, freezes, overrides, occurrences, time."""

WINDOWS: tuple[str, ...] = (
    # What the site files said last of a site's time, so that status and engine need no site file.
    """CREATE TABLE calendars (
        site TEXT PRIMARY KEY,
        body TEXT NOT NULL,
        declared_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE freezes (
        id TEXT PRIMARY KEY,
        site TEXT NOT NULL,
        reason TEXT NOT NULL,
        actor TEXT NOT NULL,
        since TEXT NOT NULL,
        until TEXT NOT NULL DEFAULT '',
        lifted_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    """CREATE TABLE overrides (
        id TEXT PRIMARY KEY,
        site TEXT NOT NULL,
        reason TEXT NOT NULL,
        actor TEXT NOT NULL,
        since TEXT NOT NULL,
        until TEXT NOT NULL,
        second INTEGER NOT NULL,
        approved_by TEXT NOT NULL DEFAULT '',
        cancelled_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # An occurrence opens once, ever: the file itself keeps that promise.
    """CREATE TABLE occurrences (
        site TEXT NOT NULL,
        window TEXT NOT NULL,
        day TEXT NOT NULL,
        start TEXT NOT NULL,
        end TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('opened', 'missed')),
        noted_at TEXT NOT NULL,
        PRIMARY KEY (site, window, day)
    ) STRICT""",
    "CREATE INDEX occurrences_by_end ON occurrences (end)",
    # What the zone rules of then said of the next weeks: only to notice that newer rules say something else.
    """CREATE TABLE foreseen (
        site TEXT PRIMARY KEY,
        tzdata TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE time_trust (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        floor TEXT NOT NULL,
        untrusted TEXT NOT NULL DEFAULT ''
    ) STRICT""",
)
