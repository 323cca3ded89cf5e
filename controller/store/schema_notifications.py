"""The tables of notifications: who is told of what, and what is still to be handed over."""

NOTIFICATIONS: tuple[str, ...] = (
    # `cursor`: the last event that was looked at for it. Its secret, if any, is in `secrets`.
    """CREATE TABLE notifiers (
        name TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        settings TEXT NOT NULL,
        topics TEXT NOT NULL,
        cursor INTEGER NOT NULL,
        problem TEXT NOT NULL DEFAULT '',
        actor TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    # One event is told once to one receiver, however often the controller is killed in between.
    """CREATE TABLE deliveries (
        notifier TEXT NOT NULL REFERENCES notifiers(name) ON DELETE CASCADE,
        event INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given-up')),
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at TEXT NOT NULL,
        problem TEXT NOT NULL DEFAULT '',
        done_at TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (notifier, event)
    ) STRICT""",
    "CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'waiting'",
)
