"""The table of etcd snapshots that were due and could not be taken; a row goes with the next good one."""

SNAPSHOT_FAILURES: tuple[str, ...] = (
    # `good_at`: of the newest whole one, so that a look at the fleet need not search for it.
    """CREATE TABLE snapshot_failures (
        cluster TEXT PRIMARY KEY,
        since TEXT NOT NULL,
        problem TEXT NOT NULL,
        good_at TEXT NOT NULL DEFAULT ''
    ) STRICT""",
)
