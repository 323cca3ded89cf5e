"""The tables of the release feed: where it is, what was accepted last, what lies ready."""

UPDATES: tuple[str, ...] = (
    # `root`: the publisher's first root metadata as the operator trusted it; later ones are proved by it.
    """CREATE TABLE feed (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        url TEXT NOT NULL,
        channel TEXT NOT NULL,
        root TEXT NOT NULL,
        actor TEXT NOT NULL,
        set_at TEXT NOT NULL,
        checked_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # Second floor beside the metadata files: it survives when those are wiped. `keys`: the ids of the keys
    # that signed the role then; a publisher who exchanges them may begin again below the floor.
    """CREATE TABLE feed_floors (
        role TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        keys TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE releases (
        channel TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        staged_at TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (channel, name)
    ) STRICT""",
    "CREATE TABLE channel_floors (channel TEXT PRIMARY KEY, floor INTEGER NOT NULL) STRICT",
)
