"""The tables of the in-cluster mirror: which clusters have one, and what was proposed there."""

MIRROR: tuple[str, ...] = (
    # `written`: the spec that was written last, as JSON; what differs from it was written by somebody else.
    """CREATE TABLE mirrors (
        cluster TEXT PRIMARY KEY,
        written TEXT NOT NULL DEFAULT '',
        written_at TEXT NOT NULL DEFAULT '',
        problem TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    """CREATE TABLE proposals (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        cluster TEXT NOT NULL,
        body TEXT NOT NULL,
        by TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        closed_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
)
