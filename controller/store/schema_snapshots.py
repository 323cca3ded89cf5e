"""The tables of etcd snapshots: what there is, and how often each cluster wants one. The bytes are files."""

SNAPSHOTS: tuple[str, ...] = (
    """CREATE TABLE snapshots (
        id TEXT PRIMARY KEY,
        cluster TEXT NOT NULL,
        node TEXT NOT NULL,
        reason TEXT NOT NULL,
        taken_at TEXT NOT NULL,
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        keys INTEGER NOT NULL,
        revisions INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        members INTEGER NOT NULL,
        verified_at TEXT NOT NULL,
        problem TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX snapshots_of_cluster ON snapshots (cluster, taken_at)",
    # What the site files said last, so that the engine needs no site file.
    """CREATE TABLE snapshot_policies (
        cluster TEXT PRIMARY KEY,
        every_hours INTEGER NOT NULL,
        keep INTEGER NOT NULL
    ) STRICT""",
)
