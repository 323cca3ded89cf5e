"""The tables of enrolment: machines that asked, refused attempts, when it is open, who is expected."""

ENROLLMENTS: tuple[str, ...] = (
    """CREATE TABLE enrollments (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL
            CHECK (state IN ('pending', 'approved', 'rejected', 'expired', 'forgotten')),
        token TEXT NOT NULL REFERENCES tokens(id),
        site TEXT NOT NULL,
        role TEXT NOT NULL,
        claimed TEXT NOT NULL,
        node_key TEXT NOT NULL,
        ssh_key TEXT NOT NULL,
        ssh_port INTEGER NOT NULL,
        hardware TEXT NOT NULL,
        words TEXT NOT NULL,
        session TEXT NOT NULL,
        request TEXT NOT NULL,
        address TEXT NOT NULL,
        conflict TEXT NOT NULL DEFAULT '',
        node TEXT NOT NULL DEFAULT '',
        decided_by TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '',
        first_at TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        decided_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # The file itself keeps the promise that a machine is there once, however often it asks.
    """CREATE UNIQUE INDEX one_enrollment_of_a_key ON enrollments (token, node_key)
        WHERE state IN ('pending', 'approved', 'rejected')""",
    """CREATE TABLE enrollment_refusals (
        reason TEXT NOT NULL,
        address TEXT NOT NULL,
        token TEXT NOT NULL,
        what TEXT NOT NULL,
        fix TEXT NOT NULL,
        times INTEGER NOT NULL,
        first_at TEXT NOT NULL,
        last_at TEXT NOT NULL,
        PRIMARY KEY (reason, address, token)
    ) STRICT""",
    """CREATE TABLE enrollment_window (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        opened_at TEXT NOT NULL,
        until TEXT NOT NULL,
        interfaces TEXT NOT NULL,
        port INTEGER NOT NULL,
        actor TEXT NOT NULL,
        closed_at TEXT NOT NULL DEFAULT '',
        endpoints TEXT NOT NULL DEFAULT '[]',
        pid INTEGER NOT NULL DEFAULT 0,
        problem TEXT NOT NULL DEFAULT '',
        rivals TEXT NOT NULL DEFAULT '[]'
    ) STRICT""",
    """CREATE TABLE expected_hardware (
        node TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (node, kind)
    ) STRICT""",
    # A node whose machine may come with new keys once more, by an operator's word.
    """CREATE TABLE enrollment_again (
        node TEXT PRIMARY KEY,
        until TEXT NOT NULL
    ) STRICT""",
)
