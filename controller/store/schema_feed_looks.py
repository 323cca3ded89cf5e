"""When a controller looks at the release feed by itself, and how the last look went."""

FEED_LOOKS: tuple[str, ...] = (
    "ALTER TABLE feed ADD COLUMN every_hours INTEGER NOT NULL DEFAULT 24",  # 0: never by itself
    "ALTER TABLE feed ADD COLUMN tried_at TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE feed ADD COLUMN problem TEXT NOT NULL DEFAULT ''",  # of the last try; empty: it went well
)
