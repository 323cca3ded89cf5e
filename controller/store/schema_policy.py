"""What this organization asks of its accounts: one row, that is there from the first order on.

`leaked` is the path of a list on this computer, and no secret.
"""

POLICY: tuple[str, ...] = (
    """CREATE TABLE people_policy (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        second_factor TEXT NOT NULL DEFAULT 'nobody'
            CHECK (second_factor IN ('nobody', 'admins', 'everybody')),
        leaked TEXT NOT NULL DEFAULT '',
        changed_at TEXT NOT NULL
    ) STRICT""",
)
