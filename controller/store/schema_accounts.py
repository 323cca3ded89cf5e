"""The tables of people: accounts, grants, sessions, one-time codes, API tokens, failed tries, kept replies.

No secret is in them in clear: passwords are Argon2id hashes, second factors are sealed, and of cookies,
codes and tokens there is a SHA-256 (they are random, so that nothing slower is needed).
"""

ACCOUNTS: tuple[str, ...] = (
    """CREATE TABLE accounts (
        name TEXT PRIMARY KEY,
        password TEXT NOT NULL DEFAULT '',
        key_id TEXT NOT NULL DEFAULT '',
        totp BLOB,
        totp_used INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        created_by TEXT NOT NULL,
        disabled_at TEXT NOT NULL DEFAULT '',
        seen_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    """CREATE TABLE grants (
        account TEXT NOT NULL REFERENCES accounts(name),
        grant_text TEXT NOT NULL,
        PRIMARY KEY (account, grant_text)
    ) STRICT""",
    """CREATE TABLE sessions (
        hash TEXT PRIMARY KEY,
        account TEXT NOT NULL REFERENCES accounts(name),
        method TEXT NOT NULL,
        source TEXT NOT NULL,
        began_at TEXT NOT NULL,
        seen_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX sessions_of_account ON sessions (account)",
    """CREATE TABLE codes (
        hash TEXT PRIMARY KEY,
        account TEXT NOT NULL REFERENCES accounts(name),
        purpose TEXT NOT NULL CHECK (purpose IN ('enter', 'password')),
        actor TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE api_tokens (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL REFERENCES accounts(name),
        hash TEXT NOT NULL UNIQUE,
        note TEXT NOT NULL,
        grant_text TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        revoked_at TEXT NOT NULL DEFAULT '',
        used_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # `subject` is a digest: somebody may have typed a password where the name belongs.
    """CREATE TABLE tries (
        id INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        source TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX tries_by_time ON tries (at)",
    """CREATE TABLE replies (
        person TEXT NOT NULL,
        key TEXT NOT NULL,
        digest TEXT NOT NULL,
        status INTEGER NOT NULL DEFAULT 0,
        body TEXT NOT NULL DEFAULT '',
        at TEXT NOT NULL,
        PRIMARY KEY (person, key)
    ) STRICT""",
)
