"""The tables of the fleet store, version by version, as plain SQL. Runs nothing.

A version that has been released is never edited: a change is a new entry of `VERSIONS`, and the newest
schema is what they make in order. `migrations` runs them.
"""

from controller.store.schema_accounts import ACCOUNTS
from controller.store.schema_changes import CHANGES
from controller.store.schema_cluster_looks import CLUSTER_LOOKS
from controller.store.schema_enrollment import ENROLLMENT
from controller.store.schema_enrollments import ENROLLMENTS
from controller.store.schema_event_kinds import EVENT_KINDS
from controller.store.schema_feed_looks import FEED_LOOKS
from controller.store.schema_license import LICENSE
from controller.store.schema_mirror import MIRROR
from controller.store.schema_notifications import NOTIFICATIONS
from controller.store.schema_policy import POLICY
from controller.store.schema_rollouts import ROLLOUTS
from controller.store.schema_snapshot_failures import SNAPSHOT_FAILURES
from controller.store.schema_snapshots import SNAPSHOTS
from controller.store.schema_updates import UPDATES
from controller.store.schema_windows import WINDOWS

INITIAL: tuple[str, ...] = (
    """CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        controller_id TEXT NOT NULL,
        key_id TEXT NOT NULL DEFAULT '',
        epoch INTEGER NOT NULL DEFAULT 0,
        engine_pid INTEGER NOT NULL DEFAULT 0,
        engine_since TEXT NOT NULL DEFAULT '',
        observe_only INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE sites (
        name TEXT PRIMARY KEY,
        organization TEXT NOT NULL,
        timezone TEXT NOT NULL,
        labels TEXT NOT NULL DEFAULT '{}'
    ) STRICT""",
    """CREATE TABLE clusters (
        name TEXT PRIMARY KEY,
        site TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        kubernetes TEXT NOT NULL,
        state TEXT NOT NULL,
        record TEXT NOT NULL DEFAULT '{}',
        problem TEXT NOT NULL DEFAULT '',
        changed_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE nodes (
        name TEXT PRIMARY KEY,
        site TEXT NOT NULL DEFAULT '',
        cluster TEXT NOT NULL DEFAULT '',
        role TEXT NOT NULL DEFAULT '',
        declared INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL,
        address TEXT NOT NULL DEFAULT '',
        ssh_port INTEGER NOT NULL DEFAULT 22,
        ssh_user TEXT NOT NULL DEFAULT 'root',
        jump TEXT NOT NULL DEFAULT '',
        host_key TEXT NOT NULL DEFAULT '',
        labels TEXT NOT NULL DEFAULT '{}',
        record TEXT NOT NULL DEFAULT '{}',
        problem TEXT NOT NULL DEFAULT '',
        unread INTEGER NOT NULL DEFAULT 0,
        changed_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE facts (
        id INTEGER PRIMARY KEY,
        node TEXT NOT NULL REFERENCES nodes(name),
        taken_at TEXT NOT NULL,
        last_seen TEXT NOT NULL,
        digest TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX facts_of_node ON facts (node, id)",
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('queued', 'running', 'done', 'failed', 'partly', 'cancelled')),
        selection TEXT NOT NULL,
        options TEXT NOT NULL DEFAULT '{}',
        actor TEXT NOT NULL,
        epoch INTEGER NOT NULL DEFAULT 0,
        cancel TEXT NOT NULL DEFAULT '',
        queued_at TEXT NOT NULL,
        started_at TEXT NOT NULL DEFAULT '',
        finished_at TEXT NOT NULL DEFAULT '',
        summary TEXT NOT NULL DEFAULT '{}'
    ) STRICT""",
    """CREATE TABLE plans (
        run TEXT PRIMARY KEY REFERENCES runs(id),
        digest TEXT NOT NULL,
        body TEXT NOT NULL,
        made_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE steps (
        id TEXT PRIMARY KEY,
        run TEXT NOT NULL REFERENCES runs(id),
        kind TEXT NOT NULL CHECK (kind IN ('node', 'cluster')),
        subject TEXT NOT NULL,
        step TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        outcome TEXT NOT NULL
            CHECK (outcome IN ('started', 'done', 'failed', 'indeterminate', 'cancelled')),
        started_at TEXT NOT NULL,
        finished_at TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '{}'
    ) STRICT""",
    "CREATE INDEX steps_of_subject ON steps (kind, subject)",
    # The store itself keeps the promise that a subject is never acted on twice at a time.
    "CREATE UNIQUE INDEX one_open_step ON steps (kind, subject) WHERE outcome = 'started'",
    # AUTOINCREMENT: an id is a cursor that clients keep, so it must never be given out twice.
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        message TEXT NOT NULL,
        data TEXT NOT NULL DEFAULT '{}'
    ) STRICT""",
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        reason TEXT NOT NULL,
        run TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit rows are never removed'); END""",
    # INSERT OR REPLACE fires no delete trigger unless recursive triggers are on; this closes that door.
    """CREATE TRIGGER audit_only_append BEFORE INSERT ON audit
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
        BEGIN SELECT RAISE(ABORT, 'audit rows are only appended'); END""",
    """CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        key_id TEXT NOT NULL,
        sealed BLOB NOT NULL,
        put_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE progress (
        subject TEXT PRIMARY KEY,
        step TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        at TEXT NOT NULL
    ) STRICT""",
)

# What pages and `cto status` show without opening JSON, and the events of one subject by an index.
OBSERVED: tuple[str, ...] = (
    "ALTER TABLE nodes ADD COLUMN talos TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE nodes ADD COLUMN profile TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE nodes ADD COLUMN seen_at TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE nodes ADD COLUMN key_words TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE clusters ADD COLUMN verified_at TEXT NOT NULL DEFAULT ''",
    """UPDATE nodes SET talos = coalesce(json_extract(record, '$.talos'), ''),
        profile = coalesce(json_extract(record, '$.profile'), '')""",
    "UPDATE nodes SET key_words = key_words(host_key) WHERE host_key <> ''",  # `migrations.teach`
    "UPDATE clusters SET verified_at = changed_at WHERE state = 'ready'",
    "CREATE INDEX events_of_subject ON events (subject, id)",
)

# Dates in clear, so that a look at the fleet needs no key; and which file an image's URL stood for at first.
KEPT: tuple[str, ...] = (
    """CREATE TABLE expiries (
        cluster TEXT NOT NULL,
        what TEXT NOT NULL,
        until TEXT NOT NULL,
        PRIMARY KEY (cluster, what)
    ) STRICT""",
    """CREATE TABLE images (
        url TEXT PRIMARY KEY,
        sha256 TEXT NOT NULL,
        pinned_at TEXT NOT NULL
    ) STRICT""",
)

VERSIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("0001_initial", INITIAL),
    ("0002_observed", OBSERVED),
    ("0003_kept", KEPT),
    ("0004_windows", WINDOWS),
    ("0005_enrollment", ENROLLMENT),
    ("0006_rollouts", ROLLOUTS),
    ("0007_enrollments", ENROLLMENTS),
    ("0008_accounts", ACCOUNTS),
    ("0009_snapshots", SNAPSHOTS),
    ("0010_license", LICENSE),
    ("0011_updates", UPDATES),
    ("0012_mirror", MIRROR),
    ("0013_notifications", NOTIFICATIONS),
    ("0014_snapshot_failures", SNAPSHOT_FAILURES),
    ("0015_feed_looks", FEED_LOOKS),
    ("0016_changes", CHANGES),
    ("0017_policy", POLICY),
    ("0018_cluster_looks", CLUSTER_LOOKS),
    ("0019_event_kinds", EVENT_KINDS),
)
KNOWN: frozenset[str] = frozenset(name for name, _ in VERSIONS)
