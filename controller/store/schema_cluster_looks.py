"""The table of what was read of clusters last, each part with its time; and who had a snapshot made."""

CLUSTER_LOOKS: tuple[str, ...] = (
    # An empty time: never read. A read that failed leaves the cordons of the last one, which grow old.
    """CREATE TABLE cluster_looks (
        cluster TEXT PRIMARY KEY,
        etcd_at TEXT NOT NULL DEFAULT '',
        etcd TEXT NOT NULL DEFAULT '{}',
        cordons_at TEXT NOT NULL DEFAULT '',
        cordoned TEXT NOT NULL DEFAULT '[]'
    ) STRICT""",
    # Of those that were taken before: nobody wrote it here.
    "ALTER TABLE snapshots ADD COLUMN actor TEXT NOT NULL DEFAULT ''",
)
