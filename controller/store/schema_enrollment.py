"""The table of enrolment tokens: what each is bound to, and its sealed secret."""

ENROLLMENT: tuple[str, ...] = (
    # `uses` counts down; the file itself keeps the promise that it never goes below nothing.
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        site TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('controlplane', 'worker', 'appliance')),
        key_id TEXT NOT NULL,
        sealed BLOB NOT NULL,
        granted INTEGER NOT NULL CHECK (granted > 0),
        uses INTEGER NOT NULL CHECK (uses BETWEEN 0 AND granted),
        actor TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        revoked_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
)
