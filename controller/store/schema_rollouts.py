"""The tables of rollouts: each one's state in parts, what was done on its behalf, and what people said."""

ROLLOUTS: tuple[str, ...] = (
    # `head` is the state without its clusters, `summary` what pages show of it, `facts` what never changes.
    """CREATE TABLE rollouts (
        id TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        over INTEGER NOT NULL DEFAULT 0,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        rollback_of TEXT NOT NULL DEFAULT '',
        facts TEXT NOT NULL DEFAULT '{}',
        head TEXT NOT NULL,
        summary TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL,
        saved_at TEXT NOT NULL,
        finished_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # Only clusters that changed are written, so that a large fleet does not cost more per step.
    """CREATE TABLE rollout_clusters (
        rollout TEXT NOT NULL REFERENCES rollouts(id),
        position INTEGER NOT NULL,
        cluster TEXT NOT NULL,
        site TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (rollout, cluster)
    ) STRICT""",
    # One row for each effect that was ordered: the key makes sure that it is ordered once.
    """CREATE TABLE rollout_acts (
        key TEXT PRIMARY KEY,
        rollout TEXT NOT NULL REFERENCES rollouts(id),
        cluster TEXT NOT NULL,
        node TEXT NOT NULL,
        step TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        began_at TEXT NOT NULL,
        ended_at TEXT NOT NULL DEFAULT '',
        result TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX acts_of_rollout ON rollout_acts (rollout, node)",
    """CREATE TABLE rollout_commands (
        id TEXT PRIMARY KEY,
        rollout TEXT NOT NULL REFERENCES rollouts(id),
        verb TEXT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        cluster TEXT NOT NULL DEFAULT '',
        wave INTEGER NOT NULL DEFAULT -1,
        at TEXT NOT NULL,
        obeyed_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # How often a node failed with a version, over all rollouts: twice is quarantine.
    """CREATE TABLE rollout_failures (
        node_version TEXT PRIMARY KEY,
        count INTEGER NOT NULL
    ) STRICT""",
    # What nodes took from start to end, by kind of hop: admission to windows is decided by it.
    """CREATE TABLE rollout_durations (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        seconds INTEGER NOT NULL
    ) STRICT""",
)
