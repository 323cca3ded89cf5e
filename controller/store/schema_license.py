"""The tables of the licence: the publisher's keys that are trusted, and the one licence that holds."""

LICENSE: tuple[str, ...] = (
    """CREATE TABLE license_keys (
        id TEXT PRIMARY KEY,
        public TEXT NOT NULL,
        actor TEXT NOT NULL,
        trusted_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE license (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        text TEXT NOT NULL,
        actor TEXT NOT NULL,
        imported_at TEXT NOT NULL
    ) STRICT""",
)
